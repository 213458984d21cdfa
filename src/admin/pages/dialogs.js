// Asks the person in front of the screen: for a token, for a yes to something that says how much it is about, for the
// length of a pause, for what of the past to send again. Dialogs are the browser's own, which keep the keyboard inside and close with Escape.

import { el } from './dom.js';
import { setUserName, userName } from './person.js';

// Opens a dialog with a form; its fields once they are sent, or `null` when it was left. It is left by a button and by
// Escape (`leave: 'button'`), by Escape only (`'key'`) or not at all (`'never'`).
function ask({ title, body, action, leave = 'button' }) {
  return new Promise((resolve) => {
    const cancel = el('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel');
    const form = el('form', { method: 'dialog' },
      el('h2', { id: 'dialog-title' }, title), body,
      el('div', { class: 'row' }, leave === 'button' && cancel, el('button', { type: 'submit', class: 'primary' }, action)));
    const dialog = el('dialog', { 'aria-labelledby': 'dialog-title' }, form);
    let sent = null;
    form.addEventListener('submit', () => { sent = new FormData(form); });
    dialog.addEventListener('cancel', (event) => { if (leave === 'never') event.preventDefault(); });
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(sent);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

// Whether a dialog is open.
export function isAsking() {
  return document.querySelector('dialog[open]') !== null;
}

// The token of the admin API.
export async function askForToken(wasRefused) {
  const why = wasRefused ? 'This token isn’t the relay’s. Look at [admin] token of its configuration.'
    : 'This relay answers only those who have its token. It is kept until this tab is closed.';
  const input = el('input', { name: 'token', type: 'password', required: true, autocomplete: 'off', maxlength: 4096 });
  const fields = await ask({
    title: 'Token needed', action: 'Go on', leave: 'never',
    body: [el('p', { role: wasRefused ? 'alert' : null }, why), el('label', {}, 'Token', input)],
  });
  return fields?.get('token') ?? '';
}

// Whether what `text` says shall be done.
export async function confirm(title, text, action) {
  const fields = await ask({ title, action, body: [el('p', {}, text), nameField()] });
  if (fields) setUserName(fields.get('user'));
  return fields !== null;
}

const DURATIONS = [['15 minutes', 15], ['1 hour', 60], ['4 hours', 240], ['1 day', 1440], ['until resumed', 0]];

// For how many minutes a destination shall be paused (0: until it is resumed), and why. `null` when it shall not.
export async function askForPause(name, waiting) {
  const choice = ([text, minutes]) => el('label', {},
    el('input', { type: 'radio', name: 'minutes', value: minutes, checked: minutes === 60, autofocus: minutes === 60 }), text);
  const fields = await ask({
    title: `Pause ${name}?`, action: 'Pause',
    body: [
      el('p', {}, `Nothing is sent to ${name} meanwhile. What waits for it is kept (now: ${waiting}), and so is what comes.`),
      el('fieldset', {}, el('legend', {}, 'For how long'), el('div', { class: 'choices' }, DURATIONS.map(choice))),
      el('label', {}, 'Why, for those who see the pause later',
        el('input', { name: 'reason', maxlength: 200, placeholder: 'Maintenance until noon' })),
      nameField(),
    ],
  });
  if (!fields) return null;
  setUserName(fields.get('user'));
  return { minutes: Number(fields.get('minutes')), reason: fields.get('reason').trim() };
}

// To which destinations events shall be sent again (none: all of theirs), and whether by today's routes, which nothing else
// can do for events without deliveries. `null` when they shall not.
export async function askForReplay(destinations, areWithout) {
  const box = (name, value, words, more = {}) => el('label', {}, el('input', { type: 'checkbox', name, value, ...more }), words);
  const fields = await ask({
    title: 'Send these events again?', action: 'Count them',
    body: [
      el('fieldset', {}, el('legend', {}, 'Only to these destinations (none chosen: to all)'),
        el('div', { class: 'choices' }, destinations.map((name) => box('destinations', name, name)))),
      el('div', { class: 'choices' }, box('reroute', 'on', 'By today’s routes', { checked: areWithout, disabled: areWithout })),
      el('p', { class: 'soft' }, 'Today’s routes send nothing a second time: they make the deliveries that these events would get if they came now, and don’t have.',
        areWithout && ' Events without deliveries have nothing else to be sent.'),
      el('p', { class: 'soft' }, 'Nothing is sent yet: first you see how much it is.'),
    ],
  });
  return fields && { destinations: fields.getAll('destinations'), reroute: areWithout || fields.has('reroute') };
}

function nameField() {
  return el('label', {}, 'Your name, for the audit trail', el('input', { name: 'user', value: userName(), maxlength: 60 }));
}

// What keys do, and whether they do it.
export async function showKeys(keys, areOn) {
  const fields = await ask({
    title: 'Keyboard shortcuts', action: 'Close', leave: 'key',
    body: [
      el('dl', { class: 'keys' }, keys.map(([key, what]) => [el('dt', {}, el('kbd', {}, key)), el('dd', {}, what)])),
      el('div', { class: 'choices' },
        el('label', {}, el('input', { type: 'checkbox', name: 'on', checked: areOn }), 'Single keys are shortcuts')),
    ],
  });
  return fields ? fields.has('on') : areOn;
}
