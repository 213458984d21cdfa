// What people changed, newest first.

import { get } from './api.js';
import { el, outside, show } from './dom.js';
import { empty, pages, table } from './parts.js';
import { clock } from './words.js';

const LIMIT = 50;
const COLUMNS = ['When', 'Who', 'From', 'What', 'Target', 'Detail', 'Result'];

export function audit({ parameters }) {
  const place = el('div');
  const refresh = async () => show(place, await get('audit', { ...parameters, limit: LIMIT }), (page) => list(page, parameters));
  const page = el('div', { class: 'stack' },
    el('div', { class: 'head' }, el('h1', { tabindex: -1 }, 'Audit'), el('p', { class: 'soft' }, 'Names are what people said of themselves.')),
    el('section', { class: 'card', 'aria-label': 'Audit' }, place));
  return { title: 'Audit', page, refresh };
}

function list(page, parameters) {
  if (page.items.length === 0 && !page.next) return empty('Nothing was changed yet', 'Pauses, replays, reloads and looks at bodies are noted here.');
  return [table('Changes', COLUMNS, page.items.map(row)), pages(['audit'], parameters, page.next)];
}

function row(one) {
  const cell = (value, kind) => el('td', { class: kind }, value != null && value !== '' && outside(said(value), 300));
  return el('tr', {}, el('td', {}, clock(one.at)), cell(one.who), cell(one.via), cell(one.what), cell(one.target, 'wrap mono'),
    cell(one.detail, 'wrap'), cell(one.result));
}

const said = (value) => (typeof value === 'string' ? value : JSON.stringify(value));
