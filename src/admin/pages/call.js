// One call as a timeline: its events as they came, those that are missing, and where each of them went.

import { get } from './api.js';
import { el, outside, show, svg } from './dom.js';
import { attempts, eventLink, table } from './parts.js';
import { ago, clock, duration, state, until, went } from './words.js';

// The least width of an attempt in the drawing, in thousandths of it.
const LEAST = 12;

export function call({ id }) {
  const place = el('div', { class: 'stack' });
  const refresh = async () => show(place, await get(['calls', id]), drawn);
  return { title: 'Call', page: place, refresh };
}

function drawn(found) {
  const first = found.events[0]?.received_at;
  return [
    el('div', { class: 'head' },
      el('div', {}, el('h1', { tabindex: -1 }, outside(found.call, 120)),
        el('p', { class: 'soft' }, found.agent && ['Agent ', el('code', {}, outside(found.agent, 120)), first && ', '], first && ['began ', ago(first)])),
      found.complete ? state('delivered', 'All events are here') : state('missing', `Missing: ${found.missing.join(', ') || 'some'}`)),
    el('section', { class: 'card', 'aria-label': 'Timeline' },
      el('ol', { class: 'timeline' }, found.events.map((event) => step(event, first)), found.missing.map(missing))),
  ];
}

function step(event, first) {
  const after = Date.parse(event.received_at) - Date.parse(first);
  return el('li', {},
    el('div', { class: 'row' },
      el('h2', {}, eventLink(event.id, event.type == null ? 'unreadable' : outside(event.type, 80))),
      clock(event.received_at),
      after > 0 && el('span', { class: 'soft' }, `+${duration(after)}`),
      state(event.state)),
    event.deliveries.length ? deliveries(event) : el('p', { class: 'soft' }, 'It went nowhere: no route wanted it.'));
}

function missing(type) {
  return el('li', { class: 'missing' }, el('div', { class: 'row' }, el('h2', { class: 'soft' }, outside(type, 80)), state('missing', 'Not here yet')));
}

const COLUMNS = [['Destination', 'name'], ['Where it stands', 'where'], ['Attempts', 'number'], 'From receipt to the last attempt'];

function deliveries(event) {
  const begin = Date.parse(event.received_at);
  const end = Math.max(begin + 1, ...event.deliveries.flatMap((one) => one.attempts ?? []).map(endOf));
  const row = (one) => el('tr', {},
    el('th', { scope: 'row', class: 'name' }, outside(one.destination, 40)),
    el('td', { class: 'where' }, state(one.state), ' ', el('span', { class: 'soft' }, moment(one, begin))),
    el('td', { class: 'number' }, String(one.attempt_count)),
    el('td', { class: 'middle' }, track(one, begin, end)));
  return table(`Where the event ${event.type ?? event.id} went`, COLUMNS, event.deliveries.map(row));
}

function moment(one, begin) {
  if (one.state === 'waiting') return ['next try ', until(one.due)];
  return one.settled_at && `after ${duration(Math.max(0, Date.parse(one.settled_at) - begin))}`;
}

const endOf = (attempt) => Date.parse(attempt.started_at) + attempt.took_ms;

// Attempts on a line that begins with the receipt of the event.
function track(one, begin, end) {
  const tried = one.attempts ?? [];
  if (tried.length === 0) return el('span', { class: 'soft' }, 'not tried yet');
  const x = (time) => Math.min(1000 - LEAST, Math.max(0, (1000 * (time - begin)) / (end - begin)));
  const marks = tried.map((attempt) => {
    const from = x(Date.parse(attempt.started_at));
    return svg('path', { class: `took ${went(attempt.outcome)}`, d: `M${from} 10H${Math.max(from + LEAST, x(endOf(attempt)))}` });
  });
  const label = `${attempts(tried.length)}, the last ended ${duration(Math.max(0, endOf(tried.at(-1)) - begin))} after the receipt`;
  return svg('svg', { class: 'track', viewBox: '0 0 1000 20', preserveAspectRatio: 'none', role: 'img', 'aria-label': label },
    svg('title', {}, label), svg('path', { class: 'base', d: 'M0 10H1000' }), marks);
}
