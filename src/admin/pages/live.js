// Keeps the page up to date: it follows the relay's stream where there is one, and looks again every few seconds anyway,
// for ages and rates change by themselves. Nothing is asked while nobody looks at the tab.

import { Problem, getRaw, has } from './api.js';

// How often to look when nothing happens, and how seldom at least when much does, in milliseconds.
const LOOK_EVERY = 5_000;
const LOOK_AT_MOST_EVERY = 1_000;
// How long to wait before the stream is opened again, in milliseconds.
const REOPEN_AFTER = 5_000;
// How long the stream may be silent, in milliseconds: the relay says something every 15 s.
const SILENCE = 40_000;

const wait = (millis) => new Promise((resolve) => { setTimeout(resolve, millis); });

// Calls `look` from now on whenever there may be something new.
export function follow(look) {
  let isLooking = false;
  let isWanted = true;
  let last = 0;
  const tick = async () => {
    const pause = isWanted ? LOOK_AT_MOST_EVERY : LOOK_EVERY;
    if (isLooking || document.hidden || Date.now() - last < pause) return;
    [isLooking, isWanted] = [true, false];
    await look().finally(() => { [isLooking, last] = [false, Date.now()]; });
  };
  setInterval(tick, LOOK_AT_MOST_EVERY / 4);
  document.addEventListener('visibilitychange', tick);
  stream(() => { isWanted = true; });
}

async function stream(happened) {
  if (!await has('stream')) return;
  for (;;) {
    if (!document.hidden) await readWhileSeen(happened);
    await wait(REOPEN_AFTER);
  }
}

// Reads the stream until it ends, is silent for too long, or nobody looks any more: a browser has six connections to a relay
// over all of its tabs, and one that holds a stream is taken from the others.
async function readWhileSeen(happened) {
  const end = new AbortController();
  const leave = () => { if (document.hidden) end.abort(); };
  document.addEventListener('visibilitychange', leave);
  window.addEventListener('pagehide', () => end.abort(), { signal: end.signal });
  try {
    await read(await getRaw('stream', {}, { signal: end.signal }), end, happened);
  } catch (problem) {
    // Meanwhile the page looks every few seconds, and says so when it can't.
    if (!(problem instanceof Problem) && problem.name !== 'AbortError' && !(problem instanceof TypeError)) throw problem;
  } finally {
    document.removeEventListener('visibilitychange', leave);
    end.abort();
  }
}

async function read(answer, end, happened) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const tooLong = setTimeout(() => end.abort(), SILENCE);
    const { value, done } = await reader.read().finally(() => clearTimeout(tooLong));
    if (done) return;
    // A comment is a sign of life only. What happened is asked for: pages show more than a stream says.
    if (/^(event|data):/m.test(value)) happened();
  }
}
