// Draws the last hour. Every drawing says in words what is to be seen, and its columns say their figures.

import { svg } from './dom.js';
import { count, number } from './words.js';

const MINUTES = 60;
// The height of a drawing, and the room in it for the scales at the bottom and at the left, in pixels of a wide window.
const HEIGHT = 150;
const BOTTOM = 18;
const LEFT = 34;

// What came in, went out and failed in each minute.
export function traffic(minutes) {
  const highest = nice(Math.max(0, ...minutes.flatMap((one) => [one.accepted, one.delivered + one.failed])));
  const plan = planned(720, highest, minutes.length);
  const bars = minutes.map((one, place) => [
    bar('out', plan, place, 0, one.delivered),
    bar('failed', plan, place, one.delivered, one.delivered + one.failed),
  ]);
  const line = svg('path', { class: 'in', d: steps(plan, minutes.map((one) => one.accepted)) });
  const words = (one) =>
    `${count(one.accepted, 'event', 'events')} in, ${number(one.delivered)} delivered, ${number(one.failed)} failed`;
  const label = `In the last hour ${count(total(minutes, 'accepted'), 'event', 'events')} came in, `
    + `${number(total(minutes, 'delivered'))} deliveries were made, ${number(total(minutes, 'failed'))} attempts failed.`;
  return chart(label, plan, [bars, line], minutes, words);
}

// What waited at the end of each minute.
export function backlog(minutes) {
  const waiting = minutes.map((one) => one.waiting);
  const plan = planned(480, nice(Math.max(0, ...waiting)), minutes.length);
  const outline = `${steps(plan, waiting)} V${plan.y(0)} H${plan.x(0)} Z`;
  const area = svg('path', { class: 'backlog', d: minutes.length ? outline : 'M0 0' });
  const words = (one) => `${number(one.waiting)} waiting`;
  const label = `In the last hour ${number(Math.max(0, ...waiting))} deliveries waited at most, ${number(waiting.at(-1) ?? 0)} wait now.`;
  return chart(label, plan, [area], minutes, words);
}

// The last hour of one destination, small.
export function spark(name, minutes) {
  const highest = Math.max(1, ...minutes.map((one) => one.delivered + one.failed));
  const column = (kind, place, from, to) => to > from && svg('rect', {
    class: kind, x: 2 * (MINUTES - minutes.length + place), y: 21 - (20 * to) / highest, width: 1.6,
    height: (20 * (to - from)) / highest,
  });
  const columns = minutes.map((one, place) =>
    [column('out', place, 0, one.delivered), column('failed', place, one.delivered, one.delivered + one.failed)]);
  const label = `${name} in the last hour: ${number(total(minutes, 'delivered'))} delivered, `
    + `${count(total(minutes, 'failed'), 'attempt', 'attempts')} failed`;
  return svg('svg', { class: 'spark', viewBox: '0 0 120 22', role: 'img', 'aria-label': label },
    svg('title', {}, label), svg('path', { class: 'base', d: 'M0 21.500H120' }), columns);
}

export function total(minutes, field) {
  return minutes.reduce((sum, one) => sum + one[field], 0);
}

// Where minutes and amounts stand in a drawing. The last minute ends at the right.
function planned(width, highest, length) {
  const step = (width - LEFT) / MINUTES;
  const x = (place) => round(width - (length - place) * step);
  const y = (amount) => round(HEIGHT - BOTTOM - (amount / highest) * (HEIGHT - BOTTOM - 8));
  return { width, highest, step, x, y };
}

function chart(label, plan, drawing, minutes, words) {
  const { width, highest, step, x, y } = plan;
  const grid = [0, highest / 2, highest].map((value) => [
    svg('path', { class: 'grid', d: `M${LEFT} ${y(value)}H${width}` }),
    svg('text', { x: LEFT - 6, y: y(value) + 4, 'text-anchor': 'end' }, number(value)),
  ]);
  const times = [[60, 'start', '1 h ago'], [30, 'middle', '30 min'], [0, 'end', 'now']].map(([before, anchor, text]) =>
    svg('text', { x: width - before * step, y: HEIGHT - 3, 'text-anchor': anchor }, text));
  const probes = minutes.map((one, place) =>
    svg('rect', { class: 'probe', x: x(place), y: 0, width: round(step), height: HEIGHT - BOTTOM },
      svg('title', {}, `${timeOf(one)}  ${words(one)}`)));
  return svg('svg', { class: 'chart', viewBox: `0 0 ${width} ${HEIGHT}`, role: 'img', 'aria-label': label },
    grid, drawing, times, probes);
}

function timeOf(minute) {
  return new Date(minute.at).toLocaleTimeString('en', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
}

function bar(kind, plan, place, from, to) {
  return to > from && svg('rect', {
    class: kind, x: plan.x(place) + 0.75, y: plan.y(to), width: round(plan.step - 1.5), height: round(plan.y(from) - plan.y(to)),
  });
}

function steps(plan, amounts) {
  const parts = amounts.map((amount, place) => `${place ? 'L' : 'M'}${plan.x(place)} ${plan.y(amount)}h${round(plan.step)}`);
  return parts.join(' ') || 'M0 0';
}

function round(value) {
  return Math.round(value * 100) / 100;
}

// The next number above that is easy to read and to halve.
function nice(highest) {
  const wanted = Math.max(2, highest);
  const power = 10 ** Math.floor(Math.log10(wanted));
  return [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10].map((factor) => factor * power).find((value) => value >= wanted && value % 2 === 0);
}
