// The configuration as it runs, with secrets masked by the relay.

import { get } from './api.js';
import { el, outside, show, visible } from './dom.js';
import { ago } from './words.js';

export function config() {
  const place = el('div', { class: 'stack' });
  const refresh = async () => show(place, await get('config'), drawn);
  return { title: 'Config', page: place, refresh };
}

function drawn(found) {
  const { path, loaded_at: loadedAt, last_reload: reload, needs_restart: waiting = [], text } = found;
  return [
    el('div', { class: 'head' }, el('h1', { tabindex: -1 }, 'Config')),
    reload && !reload.ok && el('div', { class: 'notice bad' },
      el('strong', {}, 'The last reload failed ', ago(reload.at), '. The relay goes on with what it had.'), problems(reload.problems)),
    waiting.length > 0 && el('p', { class: 'notice warn' }, 'Takes a restart to change: ', outside(waiting.join(', '), 600)),
    el('section', { class: 'card', 'aria-label': 'The configuration' },
      el('header', {}, el('h2', {}, el('code', {}, outside(path ?? 'relay.toml', 300))), el('span', { class: 'soft' }, 'read ', ago(loadedAt))),
      el('pre', { tabindex: 0, 'aria-label': 'Text of the configuration' }, visible(text))),
  ];
}

function problems(told) {
  const text = [told ?? []].flat().join('\n');
  return text && el('pre', { tabindex: 0, 'aria-label': 'What is wrong' }, visible(text));
}
