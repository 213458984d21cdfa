// Starts the dashboard: which page an address shows, what the bar on top says, which key does what.

import { Problem, get, has } from './api.js';
import { audit } from './audit.js';
import { call } from './call.js';
import { config } from './config.js';
import { dead } from './dead.js';
import { isAsking, showKeys } from './dialogs.js';
import { announce, el, show, svg } from './dom.js';
import { event } from './event.js';
import { events } from './events.js';
import { follow } from './live.js';
import { overview } from './overview.js';
import { href } from './parts.js';
import { number, passTime, setNow, state } from './words.js';

const main = document.getElementById('main');

// The pages of the bar: address, name, key, and the document without which there is nothing to show.
const TABS = [
  ['', 'Overview', 'o'], ['events', 'Events', 'e'], ['dead', 'Dead letters', 'd'], ['config', 'Config', 'c', 'config'],
  ['audit', 'Audit', 'a', 'audit'],
];

const KEYS = [
  ...TABS.map(([, name, key]) => [key, name]),
  ['/', 'Go to an event or a call'], ['j', 'Next row'], ['k', 'Row before'], ['r', 'Look again now'], ['t', 'Light or dark'],
  ['?', 'This list'],
];

let current = null;

// Pages

function open() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const segments = path.split('/').map(decoded);
  const page = pageOf(segments, Object.fromEntries(new URLSearchParams(query)));
  const isSame = current?.title === page.title;
  current = page;
  main.replaceChildren(page.page);
  document.title = `${page.title} · atoms-relay`;
  markTab(segments[0]);
  look().then(() => {
    if (current !== page || isSame) return;
    main.querySelector('h1')?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  });
}

function pageOf([name, id], parameters) {
  const pages = { events: id ? event : events, calls: id ? call : null, dead, config, audit, '': overview };
  return Object.hasOwn(pages, name) && pages[name] ? pages[name]({ id, parameters }) : nowhere();
}

function nowhere() {
  const page = el('div', { class: 'stack' }, el('h1', { tabindex: -1 }, 'There is no such page'), el('a', { href: '#/' }, 'To the overview'));
  return { title: 'Nowhere', page, refresh: async () => {} };
}

function decoded(segment) {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

// Looks at everything again, and says on the page when that fails.
async function look() {
  const page = current;
  const failed = await page.refresh().then(() => null, (problem) => problem);
  if (failed && !(failed instanceof Problem)) throw failed;
  if (page === current) showProblem(page, failed);
  await lookAtHealth();
}

function showProblem(page, problem) {
  page.problem?.remove();
  if (!problem) return;
  const words = problem.status === 404 ? 'There is nothing here. ' : '';
  page.problem = el('p', { class: 'notice bad', role: 'alert' }, words, problem.message);
  page.page.prepend(page.problem);
}

// The bar

async function lookAtHealth() {
  const place = document.getElementById('health');
  try {
    const status = await get('status');
    setNow(status.now);
    show(place, status.readiness.ready, (ready) => (ready ? state('ready') : state('refused')));
    for (const count of document.querySelectorAll('#nav .count')) count.textContent = status.queue.dead ? number(status.queue.dead) : '';
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    show(place, problem.message, () => state('refused', 'Not reachable'));
  }
}

async function drawTabs() {
  const there = await Promise.all(TABS.map(([, , , needed]) => !needed || has(needed)));
  const tab = ([path, name], place) => there[place] && el('a', { href: href([path]), 'data-tab': path }, name, path === 'dead' && el('span', { class: 'count bad' }));
  document.getElementById('nav').replaceChildren(...TABS.map(tab).filter(Boolean));
  markTab(location.hash.replace(/^#\/?/, '').split(/[/?]/)[0]);
}

function markTab(name) {
  for (const link of document.querySelectorAll('#nav a')) {
    if (link.dataset.tab === (name === 'calls' ? 'events' : name)) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
}

const isDark = () => (document.documentElement.dataset.theme ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark';

function drawTheme() {
  const shape = isDark() ? 'M13 9.500A5.500 5.500 0 0 1 6.500 3 5.500 5.500 0 1 0 13 9.500z' : 'M8 4.500a3.500 3.500 0 1 0 0 7 3.500 3.500 0 0 0 0-7M8 .5v1.500M8 14v1.500M.5 8H2M14 8h1.500M2.700 2.700l1 1M12.300 12.300l1 1M2.700 13.300l1-1M12.300 3.700l1-1';
  const button = document.getElementById('theme');
  button.replaceChildren(svg('svg', { viewBox: '0 0 16 16', 'aria-hidden': 'true' }, svg('path', { d: shape })));
  button.setAttribute('aria-label', isDark() ? 'Colours: dark. Change to light' : 'Colours: light. Change to dark');
}

function changeTheme() {
  const theme = isDark() ? 'light' : 'dark';
  document.documentElement.dataset.theme = theme;
  localStorage.setItem('theme', theme);
  drawTheme();
  announce(`Colours are ${theme} now`);
}

function find(submitted) {
  submitted.preventDefault();
  const input = document.getElementById('find-text');
  const id = input.value.trim();
  if (!id) return;
  const isEvent = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/i.test(id);
  location.hash = href([isEvent ? 'events' : 'calls', isEvent ? id.slice(0, 36).toLowerCase() : id]);
  input.value = '';
}

// Keys

const areKeysOn = () => localStorage.getItem('keys') !== 'off';

async function help() {
  localStorage.setItem('keys', await showKeys(KEYS, areKeysOn()) ? 'on' : 'off');
}

function step(by) {
  const rows = [...main.querySelectorAll('[data-row]')];
  const at = rows.indexOf(document.activeElement);
  rows[Math.min(rows.length - 1, Math.max(0, at + by))]?.focus();
}

function pressed(event) {
  const isTyping = event.target.closest?.('input, select, textarea');
  if (isTyping || isAsking() || event.ctrlKey || event.metaKey || event.altKey || !areKeysOn()) return;
  const actions = {
    '/': () => document.getElementById('find-text').focus(), j: () => step(1), k: () => step(-1), r: look, t: changeTheme, '?': help,
  };
  const tab = TABS.find(([, , key]) => key === event.key);
  if (!tab && !Object.hasOwn(actions, event.key)) return;
  event.preventDefault();
  if (tab) location.hash = href([tab[0]]);
  else actions[event.key]();
}

document.getElementById('theme').addEventListener('click', changeTheme);
document.getElementById('help').addEventListener('click', help);
document.getElementById('find').addEventListener('submit', find);
document.getElementById('skip').addEventListener('click', (clicked) => {
  clicked.preventDefault();
  main.focus();
});
document.addEventListener('keydown', pressed);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawTheme);
window.addEventListener('hashchange', open);
drawTheme();
drawTabs();
open();
follow(look);
setInterval(passTime, 1000);
