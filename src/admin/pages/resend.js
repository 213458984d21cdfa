// Sends the past again: the events that a filter chooses, where they went or where today's routes want them. First it is
// rehearsed, so that whoever agrees knows how much it is.

import { get, post } from './api.js';
import { deliveries, report } from './changes.js';
import { askForReplay, confirm } from './dialogs.js';
import { count, now, number } from './words.js';

// Events in one request: a moment's work for the relay, and between two of them the page can say how far it is.
const PORTION = 2_000;
// States of events that have no deliveries.
const WITHOUT = ['unrouted', 'quarantined'];

const events = (amount) => count(amount, 'event', 'events');

// Sends the events of a filter again, of those that have come until now.
export async function resend(filter) {
  const there = (await get('destinations')).items.filter((one) => one.condition !== 'unconfigured');
  const wanted = await askForReplay(there.map((one) => one.name), WITHOUT.includes(filter.state));
  return wanted && carryOut({ filter: { ...filter, until: new Date(now() + 1).toISOString() }, ...wanted });
}

// Has today's routes look at an event that went nowhere.
export function reroute(id) {
  return carryOut({ filter: { event: [id] }, reroute: true });
}

async function carryOut(asked) {
  const would = await inPortions({ ...asked, dry_run: true }, 'looked through');
  if (would.events === 0 && would.deliveries === 0) return nothing(asked, would);
  const [title, text] = asked.reroute ? rerouting(would) : repeating(would);
  if (!await confirm(title, text, would.deliveries ? `Send ${deliveries(would.deliveries)}` : 'Go on')) return null;
  const done = await inPortions(asked, 'done');
  return `${deliveries(done.deliveries)} will be made${asked.reroute ? '' : ' again'}, of ${events(done.events)}.`;
}

function nothing({ reroute: isRerouted }, { chosen }) {
  if (chosen === 0) return 'There are no such events any more. Nothing was changed.';
  const why = isRerouted ? 'today’s routes want nothing more of them' : 'they have no such deliveries, or these are on their way';
  return `Of ${events(chosen)} nothing is to be sent: ${why}. Nothing was changed.`;
}

function repeating({ chosen, events: amount, deliveries: due }) {
  return [`Send ${events(amount)} again?`, `${deliveries(due)} of ${events(amount)} will be made again (${number(chosen)} looked at), behind what `
    + 'comes in meanwhile. Who has got it already gets it twice, under the same key.'];
}

function rerouting({ chosen, events: amount, deliveries: due }) {
  return [`Route ${events(amount)} by today’s config?`, `${deliveries(due)} of ${events(amount)} will be made that `
    + `${due === 1 ? 'isn’t' : 'aren’t'} there yet (${number(chosen)} looked at). What has arrived is not sent again.`];
}

// Asks portion by portion, and sums up.
async function inPortions(asked, did) {
  const sum = { chosen: 0, events: 0, deliveries: 0 };
  let cursor = null;
  do {
    const done = await post('replays', { ...asked, limit: PORTION, ...(cursor && { cursor }) });
    for (const name of Object.keys(sum)) sum[name] += done[name];
    cursor = done.next;
    if (cursor) report(`${events(sum.chosen)} ${did} …`);
  } while (cursor);
  return sum;
}
