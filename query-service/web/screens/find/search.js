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
  const { date, until, minutes, people, kind } = wanted;
  const from = Math.max(instantOf(ownZone, date), Math.ceil(Date.now() / MINUTE) * MINUTE);
  const to = instantOf(ownZone, addDays(until, 1));
  if (from + minutes * MINUTE > to) return { found: [], isWhole: true };
  const range = `from=${rfc3339(from)}&to=${rfc3339(to)}`;
  const ofKind = kind ? `&kind=${encodeURIComponent(kind)}` : '';
  // All rules count, those of the caller's roles too.
  const path = `/v1/availability?${range}&duration=${minutes}&people=${people}${ofKind}`;
  const rooms = (await all(path, { signal })).sort(bySize);
  /** @type {Found[]} */
  const found = [];
  for (let next = 0; next < Math.min(most, rooms.length); next += AT_ONCE) {
    const some = rooms.slice(next, Math.min(most, next + AT_ONCE));
    const places = await Promise.all(some.map((room) => placesOf(room, range, minutes, signal)));
    found.push(...places.filter(({ spans }) => spans.length));
  }
  return { found, isWhole: rooms.length <= most };
}

/**
 * The room with the times of its free time: of a free day, the service names only the earliest one.
 *
 * @param {any} room
 * @param {string} range
 * @param {number} minutes
 * @param {AbortSignal} signal
 * @returns {Promise<Found>}
 */
async function placesOf(room, range, minutes, signal) {
  const free = await all(`/v1/rooms/${room.room}/free?${range}`, { signal });
  const spans = free.flatMap(({ from, to }) => placesIn({ from: Date.parse(from), to: Date.parse(to) }, room, minutes));
  return { room, spans };
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
