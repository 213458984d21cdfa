// One event: what it says of itself, its body, and each of its deliveries with all attempts.

import { get, getRaw } from './api.js';
import { changeButton, discard, replay } from './changes.js';
import { el, outside, show, visible } from './dom.js';
import { laidOut } from './json.js';
import { attempts, callLink, empty, table } from './parts.js';
import { reroute } from './resend.js';
import { ago, bytes, clock, count, deadReason, duration, outcome, state, until, went } from './words.js';

// As much of a body as is shown, in characters: a long call has 50,000.
const LONGEST_BODY = 200_000;

export function event({ id }) {
  const [head, deliveries] = [el('div', { class: 'stack' }), el('div', { class: 'stack' })];
  const refresh = async () => {
    const found = await get(['events', id]);
    show(head, found, () => about(found, refresh));
    show(deliveries, [found.state, found.deliveries], () => (
      found.deliveries.length ? found.deliveries.map((one) => delivery(one, refresh)) : undelivered(found, refresh)));
  };
  const page = el('div', { class: 'stack' }, head, body(id), deliveries);
  return { title: 'Event', page, refresh };
}

function about(found, refresh) {
  const ids = found.deliveries.map((one) => one.id);
  const fact = (name, value) => value != null && [el('dt', {}, name), el('dd', {}, value)];
  return [
    el('div', { class: 'head' },
      el('h1', { tabindex: -1 }, found.type == null ? 'An event that can’t be read' : outside(found.type, 120)),
      state(found.state),
      el('div', { class: 'row' }, ids.length > 0 && changeButton('Send this event to all its destinations again', 'Send again', () => replay(ids, 'this event'), refresh))),
    found.quarantine_reason && el('p', { class: 'notice warn' }, el('strong', {}, 'Kept, but not read: '), outside(found.quarantine_reason, 1000)),
    el('dl', { class: 'card facts' },
      fact('Received', [clock(found.received_at), ' ', el('span', { class: 'soft' }, '(', ago(found.received_at), ')')]),
      fact('Event', el('code', {}, found.id)),
      fact('Call', found.call && el('code', {}, callLink(found.call))),
      fact('Agent', found.agent && el('code', {}, outside(found.agent, 1000))),
      fact('Source', outside(found.source)),
      fact('Sender’s id', found.source_id && el('code', {}, outside(found.source_id, 1000))),
      fact('Body', [bytes(found.body_bytes), found.content_type ? [', ', outside(found.content_type, 120)] : '']))];
}

function undelivered(found, refresh) {
  const words = found.state === 'quarantined' ? 'What can’t be read has no routes. It is kept as it came.' : 'No route of the configuration wanted it when it came.';
  const again = changeButton('Route it by today’s config', 'Route it by today’s config…', () => reroute(found.id), refresh);
  return el('section', { class: 'card', 'aria-label': 'Deliveries' }, empty('No deliveries', [words, el('p', { class: 'inside' }, again)]));
}

// The body, which is shown when somebody asks for it: first with phone numbers masked, then as it came.
function body(id) {
  const [place, buttons] = [el('div'), el('div', { class: 'row' })];
  const look = (label, parameters) => el('button', { type: 'button', class: 'small', onclick: async (pressed) => {
    pressed.currentTarget.disabled = true;
    try {
      const text = await (await getRaw(['events', id, 'body'], parameters)).text();
      show(place, text, bodyText);
      buttons.replaceChildren(parameters.mask ? unmask : save);
      buttons.firstChild.focus();
    } catch (problem) {
      show(place, problem.message, () => el('p', { class: 'inside bad', role: 'alert' }, problem.message));
    }
    pressed.target.disabled = false;
  } }, label);
  const unmask = look('Show phone numbers', {});
  const save = el('button', { type: 'button', class: 'small', onclick: () => download(id) }, 'Save as a file');
  buttons.append(look('Show', { mask: 'phones' }));
  return el('section', { class: 'card', 'aria-labelledby': 'body' },
    el('header', {}, el('h2', { id: 'body' }, 'Body'), buttons), place);
}

function bodyText(text) {
  const laid = laidOut(text);
  const shown = laid.slice(0, LONGEST_BODY);
  const rest = laid.length - shown.length;
  return [
    el('pre', { tabindex: 0, 'aria-label': 'The body', dir: 'auto' }, text ? visible(shown) : 'It is empty.'),
    rest > 0 && el('p', { class: 'inside soft' }, `${count(rest, 'more character is', 'more characters are')} not shown. Save the body as a file to see all.`),
  ];
}

async function download(id) {
  const url = URL.createObjectURL(await (await getRaw(['events', id, 'body'])).blob());
  el('a', { href: url, download: id }).click();
  URL.revokeObjectURL(url);
}

const COLUMNS = [['Attempt', 'slim number'], ['Started', 'slim'], ['Took', 'slim number'], 'Request', ['Answer', 'half']];

function delivery(one, refresh) {
  const name = one.destination;
  const buttons = [
    one.state === 'dead' && changeButton(`Discard the dead letter of ${name}`, 'Discard', () => discard([one.id]), refresh),
    changeButton(`Send to ${name} again`, one.state === 'waiting' ? 'Try now' : 'Send again', () => replay([one.id], `this event to ${name}`), refresh),
  ];
  const tried = one.attempts ?? [];
  return el('section', { class: 'card', 'aria-label': `Delivery to ${name}` },
    el('header', {},
      el('div', { class: 'row' }, el('h2', {}, outside(name, 60)), state(one.state), el('span', { class: 'soft' }, standing(one))),
      el('div', { class: 'row' }, buttons)),
    tried.length ? table(`Attempts to deliver to ${name}`, COLUMNS, tried.map(attempt)) : empty('Not tried yet', whenTried(one)));
}

function standing(one) {
  const tries = [attempts(one.attempt_count), one.round > 0 && `, sent again ${count(one.round, 'time', 'times')}`];
  if (one.state === 'waiting') return [...tries, ', next ', until(one.due)];
  return [...tries, one.reason && `, ${deadReason(one.reason)}`, ', ', ago(one.settled_at)];
}

function whenTried(one) {
  return one.state === 'waiting' ? ['It is due ', until(one.due), '.'] : '';
}

function attempt(one) {
  const said = one.outcome.result === 'answered' ? one.outcome.excerpt : one.outcome.detail;
  return el('tr', {},
    el('td', { class: 'number' }, String(one.number)),
    el('td', {}, clock(one.started_at)),
    el('td', { class: 'number' }, duration(one.took_ms)),
    el('td', { class: 'mono wrap' }, outside(one.request, 400)),
    el('td', { class: 'mono wrap' }, el('span', { class: went(one.outcome) }, outcome(one.outcome)), ' ', said && outside(said, 2000)));
}
