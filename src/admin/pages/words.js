// How numbers, times and states are said: the one place for it, so that the same thing has the same words everywhere.

import { el, svg } from './dom.js';

const WHOLE = new Intl.NumberFormat('en');
const SHORT = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

// How far the relay's clock is ahead of this browser's, in milliseconds.
let ahead = 0;

// Takes the relay's time as the present: ages are told by its clock.
export function setNow(text) {
  ahead = Date.parse(text) - Date.now();
}

// The relay's time, in milliseconds since 1970.
export function now() {
  return Date.now() + ahead;
}

export function number(value) {
  return WHOLE.format(value);
}

// "1 event", "2 events".
export function count(value, one, more) {
  return `${number(value)} ${value === 1 ? one : more}`;
}

// How often in a second.
export function perSecond(rate) {
  if (rate === 0) return '0';
  return rate >= 100 ? number(Math.round(rate)) : Math.max(0.1, rate).toFixed(1);
}

export function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const unit = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, value)) / 10));
  return `${SHORT.format(value / 1024 ** unit)} ${units[unit]}`;
}

// A stretch of time in one or two units.
export function duration(millis) {
  if (millis < SECOND) return `${Math.round(millis)} ms`;
  if (millis < 10 * SECOND) return `${(millis / SECOND).toFixed(1)} s`;
  if (millis < MINUTE) return `${Math.floor(millis / SECOND)} s`;
  if (millis < HOUR) return two(millis, MINUTE, 'min', SECOND, 's');
  return millis < DAY ? two(millis, HOUR, 'h', MINUTE, 'min') : two(millis, DAY, 'd', HOUR, 'h');
}

function two(millis, large, largeUnit, small, smallUnit) {
  const rest = Math.floor((millis % large) / small);
  return `${Math.floor(millis / large)} ${largeUnit}${rest ? ` ${rest} ${smallUnit}` : ''}`;
}

// How long ago a time is, kept up to date while it is on the page.
export function ago(text) {
  return timed(text, 'ago');
}

// How long it is until a time, kept up to date while it is on the page.
export function until(text) {
  return timed(text, 'until');
}

function timed(text, form) {
  return el('time', { datetime: text, title: text, 'data-form': form }, distance(text, form));
}

function distance(text, form) {
  const millis = form === 'ago' ? now() - Date.parse(text) : Date.parse(text) - now();
  if (form === 'until') return millis < SECOND ? 'now' : `in ${duration(Math.max(SECOND, millis))}`;
  return millis < SECOND ? 'just now' : `${duration(Math.floor(millis / SECOND) * SECOND).replace('.0', '')} ago`;
}

// Brings the ages on the page up to date.
export function passTime() {
  for (const node of document.querySelectorAll('time[data-form]')) {
    const text = distance(node.dateTime, node.dataset.form);
    if (node.textContent !== text) node.textContent = text;
  }
}

// A time of day in this browser's zone, with the day unless it is today.
export function clock(text) {
  const date = new Date(text);
  const isToday = date.toDateString() === new Date(now()).toDateString();
  const day = isToday ? {} : { month: 'short', day: 'numeric' };
  const options = { ...day, hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' };
  return el('time', { datetime: text, title: text }, new Intl.DateTimeFormat('en', options).format(date));
}

// The shape, the tone and the words for states of events, deliveries and destinations.
const STATES = {
  delivered: ['dot', 'good', 'Delivered'],
  flowing: ['dot', 'good', 'Flowing'],
  ready: ['dot', 'good', 'Ready'],
  waiting: ['ring', 'calm', 'Waiting'],
  limited: ['bars', 'soft', 'Limited'],
  paused: ['bars', 'warn', 'Paused'],
  throttled: ['bars', 'warn', 'Throttled'],
  expired: ['square', 'warn', 'Expired'],
  unrouted: ['square', 'soft', 'No route'],
  discarded: ['square', 'soft', 'Discarded'],
  unconfigured: ['square', 'warn', 'Not in the config'],
  missing: ['ring', 'soft', 'Missing'],
  quarantined: ['peak', 'warn', 'Quarantined'],
  tripped: ['peak', 'bad', 'Tripped'],
  dead: ['cross', 'bad', 'Dead letter'],
  stopped: ['cross', 'bad', 'Stopped'],
  refused: ['cross', 'bad', 'Not ready'],
};

const SHAPES = {
  dot: () => svg('circle', { cx: 5, cy: 5, r: 4.5 }),
  ring: () => svg('circle', { cx: 5, cy: 5, r: 3.8, class: 'ring' }),
  bars: () => svg('path', { d: 'M1 0h3v10H1zM6 0h3v10H6z' }),
  square: () => svg('path', { d: 'M1 1h8v8H1z' }),
  peak: () => svg('path', { d: 'M5 0l5 9.500H0z' }),
  cross: () => svg('path', { d: 'M1 1l8 8M9 1l-8 8', class: 'ring' }),
};

// The word for a state.
export function stateWord(name) {
  return (STATES[name] ?? STATES.unrouted)[2];
}

// A state as shape, colour and word; `words` where there is more to say than its name.
export function state(name, words = stateWord(name)) {
  const [shape, tone] = STATES[name] ?? STATES.unrouted;
  return el('span', { class: `state ${tone}` }, svg('svg', { viewBox: '0 0 10 10', 'aria-hidden': 'true' }, SHAPES[shape]()), words);
}

const REASONS = {
  rejected: 'refused by the destination',
  gave_up: 'given up after trying for long',
  unsendable: 'no request could be made of it',
};

// Why a delivery is dead.
export function deadReason(reason) {
  return REASONS[reason] ?? reason ?? '';
}

const FAILURES = {
  connect: 'no connection',
  timeout: 'no answer in time',
  broken: 'the connection broke',
  unsendable: 'not sendable',
  interrupted: 'interrupted by a stop',
  token: 'no access token',
  forbidden: 'a forbidden address',
  credentials: 'no credentials',
  unkept: 'its body could not be kept',
  bug: 'a bug in the relay',
};

// What an attempt met, in a few words.
export function outcome(met) {
  return met.result === 'answered' ? String(met.status) : FAILURES[met.failure] ?? met.failure;
}

// Whether an attempt met what is taken for a success.
export function went(met) {
  return met.result === 'answered' && met.status >= 200 && met.status < 300 ? 'good' : 'bad';
}
