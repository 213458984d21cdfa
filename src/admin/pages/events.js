// The list of events, with filters that are part of the page's address.

import { get } from './api.js';
import { changeButton } from './changes.js';
import { el, show } from './dom.js';
import { empty, eventTable, href, pages } from './parts.js';
import { resend } from './resend.js';
import { now, stateWord } from './words.js';

const LIMIT = 50;
const STATES = ['waiting', 'delivered', 'dead', 'expired', 'unrouted', 'quarantined'];
const TYPES = ['pre-conversation', 'post-conversation', 'analytics-completed'];
// Choices of how old events may be, in minutes.
const WITHIN = [['15', 'last 15 minutes'], ['60', 'last hour'], ['1440', 'last day'], ['10080', 'last week']];
const FILTERS = ['state', 'type', 'agent', 'call', 'source', 'within'];

export function events({ parameters }) {
  const place = el('div');
  const refresh = async () => {
    const page = await get('events', { ...chosen(parameters), cursor: parameters.cursor, limit: LIMIT });
    show(place, page, () => list(page, parameters));
  };
  const page = el('div', { class: 'stack' },
    el('div', { class: 'head' }, el('h1', { tabindex: -1 }, 'Events'),
      isFiltered(parameters) && el('div', { class: 'row' }, changeButton('Send the events of this filter again', 'Send again…', () => resend(chosen(parameters)), refresh))),
    el('section', { class: 'card', 'aria-label': 'Events' }, filters(parameters), place));
  return { title: 'Events', page, refresh };
}

const isFiltered = (parameters) => FILTERS.some((name) => parameters[name]);

// The filter of the page as the API takes it.
function chosen(parameters) {
  const { within, ...filter } = Object.fromEntries(FILTERS.map((name) => [name, parameters[name]]).filter(([, value]) => value));
  const isKnown = WITHIN.some(([minutes]) => minutes === within);
  return isKnown ? { ...filter, since: new Date(now() - Number(within) * 60_000).toISOString() } : filter;
}

function list(page, parameters) {
  if (page.items.length) return [eventTable('Events', page.items), pages(['events'], parameters, page.next)];
  if (page.next) return [empty('None on this page', 'There may be older ones.'), pages(['events'], parameters, page.next)];
  return isFiltered(parameters) ? empty('No event is like that', el('a', { href: href(['events']) }, 'Show all events'))
    : empty('No events yet', 'Send one with: atoms-relay send');
}

function filters(parameters) {
  const look = (event) => {
    event.preventDefault();
    const wanted = Object.fromEntries(new FormData(form));
    location.hash = href(['events'], wanted);
  };
  const form = el('form', { class: 'filters', 'aria-label': 'Filters', onsubmit: look },
    choice('state', 'State', [['', 'any'], ...STATES.map((name) => [name, stateWord(name)])], parameters),
    text('type', 'Type', parameters, { list: 'types' }),
    text('agent', 'Agent', parameters), text('call', 'Call', parameters), text('source', 'Source', parameters),
    choice('within', 'Received', [['', 'any time'], ...WITHIN], parameters),
    el('div', { class: 'row' }, el('button', { type: 'submit' }, 'Filter'),
      isFiltered(parameters) && el('a', { href: href(['events']) }, 'Clear')),
    el('datalist', { id: 'types' }, TYPES.map((type) => el('option', { value: type }))));
  form.addEventListener('change', (event) => { if (event.target.tagName === 'SELECT') form.requestSubmit(); });
  return form;
}

function text(name, words, parameters, more = {}) {
  return el('label', {}, words, el('input', { name, value: parameters[name] ?? '', maxlength: 200, spellcheck: 'false', autocomplete: 'off', ...more }));
}

function choice(name, words, options, parameters) {
  const option = ([value, shown]) => el('option', { value, selected: value === (parameters[name] ?? '') }, shown);
  return el('label', {}, words, el('select', { name }, options.map(option)));
}
