// What somebody should do something about, on top of the overview: what is wrong, what it means, what helps.

import { el, outside } from './dom.js';
import { href } from './parts.js';
import { ago, duration } from './words.js';

// From when on a disk that fills up is worth a notice, in seconds: a day.
const SOON = 86_400;

// The parts of a status that notices are made of.
export function concerns({ readiness, config, queue }) {
  return { checks: readiness.checks.filter((check) => !check.ok), config, full: isFullSoon(queue) ? queue.disk_full_in_seconds : null };
}

export function isFullSoon(queue) {
  return queue.disk_full_in_seconds != null && queue.disk_full_in_seconds < SOON;
}

export function notices({ checks, config, full }) {
  return [
    checks.map((check) => notice('bad', 'No events are taken.', outside(check.reason ?? check.check, 600))),
    config.last_reload && !config.last_reload.ok && refused(config),
    config.needs_restart.length > 0 && restart(config.needs_restart),
    full != null && notice('warn', `The disk is full in ${duration(full * 1000)}, at the rate of the last hour.`,
      'Then no events are taken. Make room on it, or keep less: ', el('code', {}, 'retention'), ' in ', el('code', {}, '[queue]'), ' says how long delivered events stay.'),
  ];
}

function refused({ last_reload: last, loaded_at: loadedAt }) {
  return notice('bad', ['The config file was refused ', ago(last.at), '.'],
    last.problem && [outside(last.problem, 300), '. '], 'The relay goes on with what it read ', ago(loadedAt),
    '; a restart would fail. Correct the file and reload it: ', el('a', { href: href(['config']) }, 'all that is wrong'), '.');
}

function restart(settings) {
  return notice('warn', 'A restart is needed', 'for what the config file says of ', el('code', {}, outside(settings.join(', '), 300)),
    '. Until then these are what they were: ', el('code', {}, 'systemctl restart atoms-relay'), '. What waits is kept.');
}

function notice(tone, headline, ...words) {
  return el('p', { class: `notice ${tone}`, role: tone === 'bad' ? 'alert' : null }, el('strong', {}, headline), ' ', words);
}
