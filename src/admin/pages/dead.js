// The dead letters: what was given up, why, and how to send it again or let it be.

import { get } from './api.js';
import { changeButton, discard, discardAllDead, replay, replayAllDead } from './changes.js';
import { el, outside, show } from './dom.js';
import { callLink, empty, eventLink, href, pages, table } from './parts.js';
import { clock, deadReason, number } from './words.js';

const LIMIT = 50;
const COLUMNS = ['Given up', 'Destination', 'Why', 'Type', 'Call', 'Received', ['', 'buttons']];

export function dead({ parameters }) {
  const [place, choices] = [el('div'), el('div')];
  const refresh = async () => {
    const [page, status] = await Promise.all([get('dead-letters', { ...parameters, limit: LIMIT }), get('status')]);
    show(choices, status.destinations.map((one) => [one.name, one.dead]), (all) => choice(all, parameters, refresh));
    show(place, page, () => list(page, parameters, refresh));
  };
  const page = el('div', { class: 'stack' },
    el('div', { class: 'head' }, el('h1', { tabindex: -1 }, 'Dead letters')),
    el('section', { class: 'card', 'aria-label': 'Dead letters' }, choices, place));
  return { title: 'Dead letters', page, refresh };
}

function choice(all, { destination = '' }, refresh) {
  const concerned = all.filter(([name, amount]) => amount > 0 || name === destination);
  const amount = concerned.filter(([name]) => !destination || name === destination).reduce((sum, [, one]) => sum + one, 0);
  const option = ([name, one]) => el('option', { value: name, selected: name === destination }, `${name} (${number(one)})`);
  const choose = (event) => { location.hash = href(['dead'], { destination: event.target.value }); };
  return el('header', {},
    el('label', {}, 'Destination', el('select', { onchange: choose, id: 'destination' }, el('option', { value: '' }, 'all'), concerned.map(option))),
    amount > 0 && el('div', { class: 'row' },
      changeButton('Discard all of them', 'Discard all…', () => discardAllDead(destination), refresh),
      changeButton('Send all of them again', 'Send all again…', () => replayAllDead(destination), refresh)));
}

function list(page, parameters, refresh) {
  if (page.items.length === 0 && !page.next) return empty('No dead letters', 'Nothing was given up.');
  return [table('Dead letters', COLUMNS, page.items.map((one) => row(one, refresh))), pages(['dead'], parameters, page.next)];
}

function row(one, refresh) {
  const { event, id, destination } = one;
  const what = `${event.type ?? 'the event'} of ${destination}`;
  return el('tr', {},
    el('td', {}, eventLink(event.id, clock(one.dead_at))),
    el('td', {}, outside(destination, 40)),
    el('td', { class: 'wrap' }, deadReason(one.reason)),
    el('td', { class: 'cut' }, event.type == null ? 'unreadable' : outside(event.type, 48)),
    el('td', { class: 'cut mono' }, event.call != null && callLink(event.call)),
    el('td', {}, clock(event.received_at)),
    el('td', { class: 'buttons' },
      changeButton(`Discard ${what}`, 'Discard', () => discard([id]), refresh),
      changeButton(`Send ${what} again`, 'Send again', () => replay([id], 'this dead letter'), refresh)));
}
