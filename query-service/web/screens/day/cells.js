// Divides a room's day into cells: reservations, closed time, and free time in steps.

import { gaps, openSpans } from '../../lib/rooms.js';

const MINUTE = 60_000;
/** Minutes of a step of free time, unless the room's slots are other ones. */
const STEP = 30;

/**
 * @typedef {object} Cell
 * @property {'free' | 'past' | 'closed' | 'closure' | 'busy' | 'buffer' | 'mine' | 'confirming'} kind
 * @property {number} from
 * @property {number} to
 * @property {import('../../lib/rooms.js').Reservation} [reservation]
 * @property {string} [reason]
 */

/** Minutes of a step in this room. @param {import('../../lib/rooms.js').Room} room */
export const stepOf = ({ slotMinutes = 1 }) => (slotMinutes <= STEP && STEP % slotMinutes === 0 ? STEP : slotMinutes);

/**
 * The cells of a schedule, in order and without gaps.
 *
 * @param {import('../../lib/rooms.js').Schedule} schedule
 * @param {string} date
 * @param {number} now
 * @param {import('../../lib/confirming.js').Confirming[]} confirming
 * @returns {Cell[]}
 */
export function cellsOf({ room, from, to, reservations, closures }, date, now, confirming) {
  const day = { from, to };
  const occupied = [...reservations.flatMap(blocksOf), ...blocksInDoubt(room.room, reservations, confirming)];
  const blocks = clipped(occupied, day);
  const shut = clipped(
    closures.map((closure) => ({
      kind: /** @type {const} */ ('closure'),
      from: Date.parse(closure.from),
      to: Date.parse(closure.to),
      reason: closure.reason,
    })),
    day,
  );
  const open = openSpans(room, date);
  const step = stepOf(room) * MINUTE;
  const cells = [...blocks];
  for (const rest of gaps(day, blocks)) {
    cells.push(...clipped(shut, rest));
    for (const piece of gaps(rest, clipped(shut, rest))) {
      const opened = clipped(open, piece);
      cells.push(...gaps(piece, opened).map((span) => ({ kind: /** @type {const} */ ('closed'), ...span })));
      for (const span of opened) cells.push(...steps(span, day.from, step, now));
    }
  }
  return cells.sort((one, other) => one.from - other.from);
}

/** A reservation, with the time before and after it in which the room is got ready. @param {any} reservation @returns {Cell[]} */
function blocksOf(reservation) {
  const [from, to] = [Date.parse(reservation.from), Date.parse(reservation.to)];
  const kind = reservation.reservation ? 'mine' : 'busy';
  const busyFrom = reservation.busyFrom ? Date.parse(reservation.busyFrom) : from;
  const busyTo = reservation.busyTo ? Date.parse(reservation.busyTo) : to;
  /** @type {Cell[]} */
  const blocks = [
    { kind: 'buffer', from: busyFrom, to: from },
    { kind, from, to, reservation },
    { kind: 'buffer', from: to, to: busyTo },
  ];
  return blocks.filter((block) => block.from < block.to);
}

/**
 * What was booked and is not in the schedule yet.
 *
 * @param {string} room
 * @param {any[]} reservations
 * @param {import('../../lib/confirming.js').Confirming[]} confirming
 * @returns {Cell[]}
 */
function blocksInDoubt(room, reservations, confirming) {
  const known = new Set(reservations.map(({ reservation }) => reservation));
  return confirming
    .filter((effect) => effect.room === room && !known.has(effect.reservation))
    .map(({ from, to }) => ({ kind: 'confirming', from, to }));
}

/**
 * The parts of spans within a span, in order.
 *
 * @template {{from: number, to: number}} T
 * @param {T[]} spans
 * @param {{from: number, to: number}} within
 * @returns {T[]}
 */
function clipped(spans, within) {
  return spans
    .map((span) => ({ ...span, from: Math.max(span.from, within.from), to: Math.min(span.to, within.to) }))
    .filter((span) => span.from < span.to)
    .sort((one, other) => one.from - other.from);
}

/** @param {{from: number, to: number}} span @param {number} midnight @param {number} step @param {number} now @returns {Cell[]} */
function steps({ from, to }, midnight, step, now) {
  /** @type {Cell[]} */
  const cells = [];
  // Past time is one cell: nobody can book it.
  const begin = Math.min(to, Math.max(from, midnight + Math.floor((now - midnight) / step) * step));
  if (begin > from) cells.push({ kind: 'past', from, to: begin });
  for (let start = begin; start < to; ) {
    const end = Math.min(to, midnight + (Math.floor((start - midnight) / step) + 1) * step);
    cells.push({ kind: 'free', from: start, to: end });
    start = end;
  }
  return cells;
}

/**
 * The longest free span between two cells that begins at the first one.
 *
 * @param {Cell[]} cells
 * @param {number} first
 * @param {number} last
 */
export function spanBetween(cells, first, last) {
  const direction = last < first ? -1 : 1;
  let end = first;
  while (end !== last && cells[end + direction]?.kind === 'free') end += direction;
  const [one, other] = direction < 0 ? [end, first] : [first, end];
  return { from: cells[one].from, to: cells[other].to, end };
}
