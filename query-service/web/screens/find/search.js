// Finds rooms with times: by their free time, or by who takes a stay at a given time.

import { all } from '../../lib/api.js';
import { available } from '../../lib/rooms.js';
import { addDays, instantOf, minutesOfClock, ownZone, rfc3339 } from '../../lib/time.js';

const MINUTE = 60_000;
/** Minutes on whose multiples offers begin, unless the room has slots. */
const STEP = 15;
/** Most days of a range. */
export const MOST_DAYS = 14;
/** Requests at once. */
const AT_ONCE = 5;

/**
 * @typedef {object} Wanted
 * @property {number} people
 * @property {number} minutes
 * @property {string} date The first day.
 * @property {string} until The last day.
 * @property {string} [kind]
 * @property {string} [at] `HH:MM` on the reader's clock, where only that time will do.
 *
 * @typedef {{room: import('../../lib/rooms.js').Room, spans: {from: number, to: number}[]}} Found
 */

/**
 * Rooms that can hold such a stay, the smallest first, with its possible times.
 *
 * @param {Wanted} wanted
 * @param {number} most Rooms.
 * @param {AbortSignal} signal
 * @returns {Promise<{found: Found[], isWhole: boolean}>}
 */
export async function search(wanted, most, signal) {
  if (wanted.at) return { found: await searchAt(wanted, wanted.at), isWhole: true };
  const parameters = new URLSearchParams({ people: String(wanted.people) });
  if (wanted.kind) parameters.set('kind', wanted.kind);
  const rooms = (await all(`/v1/rooms?${parameters}`, { signal })).sort(bySize);
  /** @type {Found[]} */
  const found = [];
  let next = 0;
  while (next < rooms.length && found.length < most) {
    const some = rooms.slice(next, next + AT_ONCE);
    next += some.length;
    const spans = await Promise.all(some.map((room) => spansOf(room, wanted, signal)));
    some.forEach((room, index) => {
      if (spans[index].length) found.push({ room, spans: spans[index] });
    });
  }
  return { found, isWhole: next >= rooms.length };
}

/** @param {import('../../lib/rooms.js').Room} one @param {import('../../lib/rooms.js').Room} other */
const bySize = (one, other) => one.capacity - other.capacity || one.name.localeCompare(other.name);

/** @param {Wanted} wanted @param {string} at @returns {Promise<Found[]>} */
async function searchAt({ people, minutes, date, until, kind }, at) {
  /** @type {Map<string, Found>} */
  const found = new Map();
  for (let day = date; day <= until; day = addDays(day, 1)) {
    const from = instantOf(ownZone, day, minutesOfClock(at));
    const span = { from, to: from + minutes * MINUTE };
    if (span.to <= Date.now()) continue;
    for (const room of await available({ ...span, people, kind })) {
      const known = found.get(room.room) ?? { room, spans: [] };
      known.spans.push(span);
      found.set(room.room, known);
    }
  }
  return [...found.values()].sort((one, other) => bySize(one.room, other.room));
}

/** @param {import('../../lib/rooms.js').Room} room @param {Wanted} wanted @param {AbortSignal} signal */
async function spansOf(room, { date, until, minutes }, signal) {
  const length = lengthIn(room, minutes);
  if (!length) return [];
  const from = Math.max(instantOf(room.timeZone, date), Math.floor(Date.now() / MINUTE) * MINUTE);
  const to = instantOf(room.timeZone, addDays(until, 1));
  if (from >= to) return [];
  const path = `/v1/rooms/${room.room}/free?from=${rfc3339(from)}&to=${rfc3339(to)}`;
  const free = await all(path, { signal });
  return free.flatMap((span) => placesIn({ from: Date.parse(span.from), to: Date.parse(span.to) }, room, length));
}

/**
 * Minutes of the stay in this room: whole slots, and its shortest stay at least. 0 where the room has no such stays.
 *
 * @param {import('../../lib/rooms.js').Room} room
 * @param {number} minutes
 */
export function lengthIn({ slotMinutes = 1, minMinutes = 0, maxMinutes = Number.POSITIVE_INFINITY }, minutes) {
  const length = Math.ceil(Math.max(minutes, minMinutes) / slotMinutes) * slotMinutes;
  return length <= maxMinutes ? length : 0;
}

/**
 * Stays of this length in free time, side by side.
 *
 * @param {{from: number, to: number}} free
 * @param {{slotMinutes?: number}} room
 * @param {number} minutes
 */
export function placesIn({ from, to }, { slotMinutes }, minutes) {
  const step = STEP * MINUTE;
  const length = minutes * MINUTE;
  const places = [];
  // Free time begins at a slot already. All zones are whole quarters of an hour from UTC.
  let start = slotMinutes ? from : Math.ceil(from / step) * step;
  if (start + length > to) start = from;
  while (start + length <= to) {
    places.push({ from: start, to: start + length });
    start += slotMinutes ? length : Math.ceil(length / step) * step;
  }
  return places;
}

/**
 * What comes close to a search that found nothing: other kinds, later days, shorter stays.
 *
 * @param {Wanted} wanted
 * @param {AbortSignal} signal
 * @returns {Promise<{why: string, found: Found[]}[]>}
 */
export async function nearby(wanted, signal) {
  const { kind, at, until, minutes } = wanted;
  const half = Math.max(STEP, Math.ceil(minutes / 2 / STEP) * STEP);
  const others = [
    at && { why: 'otherTime', wanted: { ...wanted, at: '' } },
    kind && { why: 'otherKind', wanted: { ...wanted, kind: '' } },
    { why: 'later', wanted: { ...wanted, date: addDays(until, 1), until: addDays(until, 7) } },
    half < minutes && { why: 'shorter', wanted: { ...wanted, minutes: half } },
  ];
  const groups = [];
  for (const other of others) {
    if (!other) continue;
    const { found } = await search(other.wanted, 3, signal);
    if (found.length) groups.push({ why: other.why, found: found.slice(0, 3) });
  }
  return groups;
}
