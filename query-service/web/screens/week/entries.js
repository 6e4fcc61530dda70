// What stands in one day of a week.

import { cellsOf } from '../day/cells.js';

/** Kinds of cells of which neighbours are one entry. */
const JOINED = new Set(['free', 'past', 'closed']);

/**
 * The cells of a day. Free, past and closed time are one entry each.
 *
 * @param {import('../../lib/rooms.js').Schedule} schedule Of that day.
 * @param {string} date
 * @param {number} now
 * @param {import('../../lib/confirming.js').Confirming[]} confirming
 */
export function entriesOf(schedule, date, now, confirming) {
  /** @type {import('../day/cells.js').Cell[]} */
  const entries = [];
  for (const cell of cellsOf(schedule, date, now, confirming)) {
    const last = entries.at(-1);
    if (last && last.kind === cell.kind && last.to === cell.from && JOINED.has(cell.kind)) last.to = cell.to;
    else entries.push({ ...cell });
  }
  return entries;
}

/**
 * What a click on free time books: an hour, or the room's shortest stay, as far as it is free.
 *
 * @param {{from: number, to: number}} free
 * @param {import('../../lib/rooms.js').Room} room
 * @param {number} step Minutes.
 * @param {number} part Where in the free time, from 0 to 1.
 */
export function spanAt({ from, to }, { minMinutes = 0 }, step, part) {
  const steps = Math.floor(((to - from) * part) / (step * 60_000));
  const length = Math.max(60, minMinutes, step) * 60_000;
  const start = Math.max(from, Math.min(from + steps * step * 60_000, to - length));
  return { from: start, to: Math.min(to, start + length) };
}
