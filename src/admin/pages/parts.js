// The parts that several pages have: tables, lists of events, what became of deliveries, ways to other pages.

import { el, outside, visible } from './dom.js';
import { clock, count, state, stateWord } from './words.js';

// The address of a page; `parameters` that are empty are left out.
export function href(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value != null && value !== '');
  const query = new URLSearchParams(given).toString();
  return `#/${path.map(encodeURIComponent).join('/')}${query ? `?${query}` : ''}`;
}

export function eventLink(id, ...words) {
  return el('a', { href: href(['events', id]), 'data-row': true }, words);
}

export function callLink(call) {
  return el('a', { href: href(['calls', call]) }, outside(call, 40));
}

// A table in a frame that scrolls by itself where the window is narrow. A column is its headline, or headline and class.
export function table(name, columns, rows) {
  const headline = (column) => {
    const [words, kind] = [column].flat();
    return el('th', { scope: 'col', class: kind }, words || el('span', { class: 'unseen' }, 'What can be done'));
  };
  const said = visible(name);
  return el('div', { class: 'scroll', role: 'region', tabindex: 0, 'aria-label': said },
    el('table', {}, el('caption', { class: 'unseen' }, said),
      el('thead', {}, el('tr', {}, columns.map(headline))), el('tbody', {}, rows)));
}

// What is said where a list is empty.
export function empty(headline, words) {
  return el('div', { class: 'empty' }, el('strong', {}, headline), words);
}

const EVENT_COLUMNS = ['Received', 'Type', 'State', 'Deliveries', 'Agent', 'Call', 'Source'];

// A list of events.
export function eventTable(name, events) {
  return table(name, EVENT_COLUMNS, events.map(eventRow));
}

function eventRow(event) {
  const type = event.type == null ? el('span', { class: 'soft' }, 'unreadable') : outside(event.type, 48);
  return el('tr', {},
    el('td', {}, eventLink(event.id, clock(event.received_at))),
    el('td', { class: 'cut' }, type),
    el('td', {}, state(event.state)),
    el('td', { class: 'states' }, summary(event)),
    el('td', { class: 'cut mono' }, event.agent != null && outside(event.agent, 48)),
    el('td', { class: 'cut mono' }, event.call != null && callLink(event.call)),
    el('td', {}, outside(event.source, 40)));
}

// Where the deliveries of an event stand, each by name while they are few.
function summary(event) {
  if (event.deliveries.length === 0) return el('span', { class: 'soft' }, 'none');
  if (event.deliveries.length <= 3) return event.deliveries.map((one) => state(one.state, named(one)));
  const numbers = new Map();
  for (const one of event.deliveries) numbers.set(one.state, (numbers.get(one.state) ?? 0) + 1);
  return [...numbers].map(([name, amount]) => state(name, `${amount} ${stateWord(name).toLowerCase()}`));
}

function named(delivery) {
  return [outside(delivery.destination, 24), el('span', { class: 'unseen' }, ` ${stateWord(delivery.state)}`)];
}

export function attempts(amount) {
  return count(amount, 'attempt', 'attempts');
}

// The ways to the newest and to older items of a list.
export function pages(path, parameters, next) {
  const newest = parameters.cursor
    ? el('a', { href: href(path, { ...parameters, cursor: null }) }, '← Newest') : el('span', {}, 'The newest');
  const older = next ? el('a', { href: href(path, { ...parameters, cursor: next }), rel: 'next' }, 'Older →') : el('span', {}, 'No older ones');
  return el('nav', { class: 'pages', 'aria-label': 'Pages of the list' }, newest, older);
}
