// The configuration as it runs, with secrets masked by the relay.

import { get } from './api.js';
import { changeButton, reload } from './changes.js';
import { el, outside, show, visible } from './dom.js';
import { ago } from './words.js';

export function config() {
  const place = el('div', { class: 'stack' });
  const refresh = async () => show(place, await get('config'), (found) => drawn(found, refresh));
  return { title: 'Config', page: place, refresh };
}

function drawn(found, refresh) {
  const { path, loaded_at: loadedAt, last_reload: last, needs_restart: waiting = [], text } = found;
  return [
    el('div', { class: 'head' }, el('h1', { tabindex: -1 }, 'Config'),
      el('div', { class: 'row' }, changeButton('Reload the config', 'Reload…', reload, refresh))),
    last && !last.ok && el('div', { class: 'notice bad', role: 'alert' },
      el('p', {}, el('strong', {}, 'The last reload failed ', ago(last.at), '. '), 'The relay goes on with what it had. Correct the file, then reload.'),
      problems(last.problems)),
    waiting.length > 0 && el('p', { class: 'notice warn' },
      el('strong', {}, 'A restart is needed '), 'for what the file says of ', el('code', {}, outside(waiting.join(', '), 600)), '.'),
    el('section', { class: 'card', 'aria-label': 'The configuration' },
      el('header', {}, el('h2', {}, el('code', {}, outside(path ?? 'relay.toml', 300))), el('span', { class: 'soft' }, 'read ', ago(loadedAt))),
      el('pre', { tabindex: 0, 'aria-label': 'Text of the configuration' }, visible(text))),
  ];
}

function problems(told) {
  const text = [told ?? []].flat().join('\n');
  return text && el('pre', { tabindex: 0, 'aria-label': 'What is wrong' }, visible(text));
}
