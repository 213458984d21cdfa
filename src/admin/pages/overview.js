// The overview: how the relay is, what goes in and out, where deliveries go.

import { get } from './api.js';
import { backlog, spark, total, traffic } from './charts.js';
import { changeButton, pause, replayAllDead, resume } from './changes.js';
import { el, outside, show } from './dom.js';
import { concerns, isFullSoon, notices } from './notices.js';
import { arrived, paceAt } from './pace.js';
import { empty, eventTable, href, table } from './parts.js';
import { ago, bytes, count, duration, number, perSecond, setNow, state, until } from './words.js';

// How many of the latest events are shown.
const LATEST = 8;
// From when on it is said when the disk will be full, in seconds: 30 days.
const WORTH_SAYING = 30 * 86_400;

export function overview() {
  const places = ['notices', 'figures', 'charts', 'destinations', 'latest'].map((name) => [name, el('div')]);
  const at = Object.fromEntries(places);
  const refresh = async () => {
    const [status, history, latest] = await Promise.all([get('status'), get('history'), get('events', { limit: LATEST })]);
    setNow(status.now);
    const { minutes } = history;
    const byName = new Map(history.destinations.map((one) => [one.name, one.minutes]));
    const rates = ratesOf(status, paceAt(status));
    show(at.notices, concerns(status), notices);
    show(at.figures, [status.queue, minutes, oldest(status), waitingNow(status.destinations)], figures);
    show(at.charts, minutes, charts);
    show(at.destinations, [status.destinations, [...byName], [...rates]], () => destinations(status.destinations, byName, rates, refresh));
    show(at.latest, latest.items, latestEvents);
  };
  const page = el('div', { class: 'stack' }, el('h1', { class: 'unseen', tabindex: -1 }, 'Overview'), Object.values(at));
  return { title: 'Overview', page, refresh };
}

const oldest = (status) => status.destinations.map((one) => one.oldest).filter(Boolean).sort()[0] ?? null;

// A forecast is no more exact than a second.
const left = (seconds) => duration(1000 * Math.max(1, seconds)).replace('.0', '');

// What becomes of what waits: when nothing will wait any more, if all destinations get on with it.
function waitingNow(destinations) {
  const busy = destinations.filter((one) => one.waiting > 0);
  if (busy.length === 0) return 'nothing waits';
  if (busy.every((one) => one.drain_seconds != null)) return `done in ${left(Math.max(...busy.map((one) => one.drain_seconds)))}`;
  const flying = busy.reduce((sum, one) => sum + one.in_flight, 0);
  return flying ? `${number(flying)} on their way` : 'none on its way';
}

// A destination that was new since the first look.
const NOTHING = { waiting: 0, delivered_total: 0, dead: 0, expired: 0 };

// For each destination what comes and what goes in a second, as words.
function ratesOf({ destinations }, pace) {
  const found = (name, total) => (status) => total(status.destinations.find((one) => one.name === name) ?? NOTHING);
  const words = (rate) => (rate == null ? '–' : perSecond(rate));
  return new Map(destinations.map(({ name }) => [name, [arrived, (one) => one.delivered_total].map((total) => words(pace(found(name, total))))]));
}

function figures([queue, minutes, first, waiting]) {
  const lately = minutes.at(-1);
  const [failed, full] = [total(minutes, 'failed'), queue.disk_full_in_seconds];
  return el('dl', { class: 'card figures' },
    figure('In, last hour', number(total(minutes, 'accepted')), lately && `${number(lately.accepted)} in this minute`),
    figure('Delivered, last hour', number(total(minutes, 'delivered')), `${count(failed, 'attempt', 'attempts')} failed`),
    figure('Waiting', number(queue.waiting), waiting),
    figure('Oldest waiting', first ? ago(first) : '–', first ? 'when it came in' : 'nothing waits'),
    figure('Dead letters', number(queue.dead), queue.dead ? el('a', { href: href(['dead']) }, 'look at them') : 'none given up', queue.dead ? 'bad' : null),
    figure('Queue on disk', bytes(queue.disk_bytes), full != null && full < WORTH_SAYING ? `full in ${duration(full * 1000)}` : free(queue), isFullSoon(queue) ? 'warn' : null));
}

function free(queue) {
  return queue.disk_free_bytes == null ? count(queue.events, 'event', 'events') : `${bytes(queue.disk_free_bytes)} free`;
}

function figure(name, value, more, tone) {
  return el('div', {}, el('dt', {}, name), el('dd', { class: tone }, value), el('dd', {}, more ?? ' '));
}

function charts(minutes) {
  const caption = (words, ...keys) => el('figcaption', {}, el('h2', {}, words), el('span', { class: 'row' }, keys));
  const key = (kind, words) => el('span', { class: `key ${kind}` }, words);
  return el('section', { class: 'card charts', 'aria-label': 'The last hour' },
    el('figure', {}, caption('Last hour, by minute', key('in', 'in'), key('out', 'delivered'), key('failed', 'failed attempts')), traffic(minutes)),
    el('figure', {}, caption('Waiting'), backlog(minutes)));
}

const COLUMNS = [
  'Destination', 'Condition', 'Why', ['In/s', 'number'], ['Out/s', 'number'], ['Waiting', 'number'], 'Done in', ['Dead', 'number'], 'Oldest',
  'Last hour', ['', 'buttons'],
];

function destinations(all, history, rates, refresh) {
  const rows = all.map((one) => destination(one, history.get(one.name) ?? [], rates.get(one.name), refresh));
  return el('section', { class: 'card', 'aria-labelledby': 'destinations' },
    el('header', {}, el('h2', { id: 'destinations' }, 'Destinations')),
    rows.length ? table('Destinations', COLUMNS, rows) : empty('No destinations', 'The configuration names none.'));
}

function destination(one, minutes, [comes, goes], refresh) {
  const dead = one.dead ? el('a', { href: href(['dead'], { destination: one.name }), 'aria-label': `Dead letters of ${one.name}: ${one.dead}` }, number(one.dead)) : '0';
  return el('tr', {},
    el('th', { scope: 'row' }, outside(one.name, 40)),
    el('td', {}, state(one.condition)),
    el('td', { class: 'wrap soft' }, why(one)),
    el('td', { class: 'number' }, comes),
    el('td', { class: 'number' }, goes),
    el('td', { class: 'number' }, number(one.waiting)),
    el('td', {}, one.drain_seconds == null ? none() : left(one.drain_seconds)),
    el('td', { class: 'number' }, dead),
    el('td', {}, one.oldest ? ago(one.oldest) : none()),
    el('td', { class: 'middle' }, spark(one.name, minutes)),
    el('td', { class: 'buttons' }, buttons(one, refresh)));
}

const none = () => el('span', { class: 'soft' }, '–');

function why(one) {
  const next = one.condition === 'paused' ? 'ends' : 'next try';
  return [one.reason && outside(one.reason, 300), one.until && [one.reason ? '; ' : '', next, ' ', until(one.until)]];
}

function buttons(one, refresh) {
  if (one.condition === 'unconfigured') return null;
  const isHeld = ['paused', 'stopped', 'tripped'].includes(one.condition);
  return [
    one.dead > 0 && changeButton(`Send dead letters of ${one.name} again`, 'Send dead again', () => replayAllDead(one.name), refresh),
    isHeld && changeButton(`Resume ${one.name}`, 'Resume', () => resume(one.name), refresh),
    one.condition !== 'paused' && changeButton(`Pause ${one.name}`, 'Pause', () => pause(one.name), refresh),
  ];
}

function latestEvents(events) {
  const body = events.length ? eventTable('Latest events', events)
    : empty('No events yet', 'Send one with: atoms-relay send');
  return el('section', { class: 'card', 'aria-labelledby': 'latest' },
    el('header', {}, el('h2', { id: 'latest' }, 'Latest events'), el('a', { href: href(['events']) }, 'All events')), body);
}
