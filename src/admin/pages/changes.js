// What people can change from the dashboard. Each change says first how much it is about, and afterwards what it did.

import { Problem, get, post } from './api.js';
import { askForPause, confirm } from './dialogs.js';
import { announce, el, visible } from './dom.js';
import { count, now } from './words.js';

// A button that makes a change, then has the page looked at again.
export function changeButton(label, words, change, refresh) {
  const press = async (event) => {
    const button = event.currentTarget;
    button.disabled = true;
    document.getElementById('told')?.remove();
    try {
      const done = await change();
      if (done) report(done);
    } catch (problem) {
      tell(problem);
    }
    button.disabled = false;
    refresh();
  };
  return el('button', { type: 'button', class: 'small', 'aria-label': visible(label), onclick: press }, words);
}

// Shows on top of the page what went wrong.
function tell(problem) {
  if (!(problem instanceof Problem)) throw problem;
  put(problem.message, { class: 'notice bad row apart', role: 'alert' });
}

// Shows on top of the page what was done, and says it to those who hear the page.
export function report(text) {
  announce(text);
  put(text, { class: 'notice good row apart' });
}

// There is one such notice at a time.
function put(text, attributes) {
  const close = el('button', { type: 'button', class: 'small', onclick: () => notice.remove() }, 'Close');
  const notice = el('div', { id: 'told', ...attributes }, el('span', {}, visible(text)), close);
  document.getElementById('told')?.remove();
  document.getElementById('main').prepend(notice);
}

export const deliveries = (amount) => count(amount, 'delivery', 'deliveries');
const letters = (amount) => count(amount, 'dead letter', 'dead letters');

// Holds a destination back.
export async function pause(name) {
  const destinations = (await get('destinations')).items;
  const wanted = await askForPause(name, deliveries(destinations.find((one) => one.name === name)?.waiting ?? 0));
  if (!wanted) return null;
  const until = wanted.minutes ? new Date(now() + wanted.minutes * 60_000).toISOString() : null;
  await post(['destinations', name, 'pause'], { reason: wanted.reason, until });
  return `${name} is paused.`;
}

// Lets a destination go on.
export async function resume(name) {
  const destinations = (await get('destinations')).items;
  const waiting = deliveries(destinations.find((one) => one.name === name)?.waiting ?? 0);
  if (!await confirm(`Resume ${name}?`, `What waits for it will be tried again (now: ${waiting}).`, 'Resume')) return null;
  await post(['destinations', name, 'resume']);
  return `${name} goes on.`;
}

// Sends deliveries again that are named by their ids. `what` is what a person calls them.
export async function replay(ids, what) {
  const asked = { deliveries: ids };
  const { deliveries: amount } = await post('replays', { ...asked, dry_run: true });
  const text = `${deliveries(amount)} will be made again. Who has got it already gets it twice, under the same key.`;
  if (!await confirm(`Send ${what} again?`, text, `Send ${deliveries(amount)}`)) return null;
  return `${deliveries((await post('replays', asked)).deliveries)} will be made again.`;
}

// Has the config file read again. What is wrong with it, the page on the config shows from then on.
export async function reload() {
  const text = 'The relay reads its file again. What hasn’t changed goes on untouched; when anything is wrong with the file, all of it does.';
  if (!await confirm('Reload the config?', text, 'Reload')) return null;
  try {
    return reloaded(await post('reload'));
  } catch (problem) {
    if (problem.status !== 422) throw problem;
    return null;
  }
}

function reloaded({ warnings, ...done }) {
  const kinds = ['added', 'changed', 'removed', 'unchanged'];
  const of = (lists, what) => kinds.filter((kind) => lists[kind].length).map((kind) => `${kind} ${lists[kind].join(', ')}`).join('; ') || `no ${what}`;
  const advice = warnings ? ' Something in it looks wrong: atoms-relay check says what.' : '';
  return `The config was read. Destinations: ${of(done, 'destination')}. Sources: ${of(done.sources, 'source')}.${advice}`;
}

// Throws dead letters away that are named by their ids.
export async function discard(ids) {
  const asked = { deliveries: ids };
  const { deliveries: amount } = await post('dead-letters/discard', { ...asked, dry_run: true });
  if (!await confirm(`Discard ${letters(amount)}?`, warning(amount), `Discard ${letters(amount)}`)) return null;
  return `${letters((await post('dead-letters/discard', asked)).deliveries)} discarded.`;
}

// Sends all dead letters again, or those of one destination.
export async function replayAllDead(destination) {
  const { asked, amount, whose } = await allDead('replays', destination);
  const text = `${letters(amount)} ${whose} will be sent again, behind what comes in meanwhile.`;
  if (!await confirm('Send dead letters again?', text, `Send ${deliveries(amount)}`)) return null;
  return `${deliveries((await post('replays', asked)).deliveries)} will be made again.`;
}

// Throws all dead letters away, or those of one destination.
export async function discardAllDead(destination) {
  const { asked, amount, whose } = await allDead('dead-letters/discard', destination);
  const title = `Discard ${letters(amount)} ${whose}?`;
  if (!await confirm(title, warning(amount), `Discard ${letters(amount)}`)) return null;
  return `${letters((await post('dead-letters/discard', asked)).deliveries)} discarded.`;
}

async function allDead(path, destination) {
  const asked = destination ? { all: true, destination } : { all: true };
  const { deliveries: amount } = await post(path, { ...asked, dry_run: true });
  return { asked, amount, whose: destination ? `of ${destination}` : 'of all destinations' };
}

function warning(amount) {
  return `${amount === 1 ? 'It' : 'They'} will not be delivered. The events stay until their retention is over.`;
}
