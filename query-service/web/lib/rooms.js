// Rooms and what is reserved in them.

import { all, query } from './api.js';
import { addDays, dayOf, instantOf, minutesOfClock, rfc3339, weekdayOf } from './time.js';

/**
 * @typedef {object} Room
 * @property {string} room Its id.
 * @property {string} name
 * @property {string} kind
 * @property {number} capacity
 * @property {string} timeZone
 * @property {Record<string, OpenTime | OpenTime[]>} [openingHours]
 * @property {number} [slotMinutes]
 * @property {number} [minMinutes]
 * @property {number} [maxMinutes]
 * @property {string[]} [attributes]
 * @property {string} [building]
 * @property {string} [floor]
 * @property {boolean} retired
 * @property {number} version
 *
 * @typedef {{opens: string, closes: string}} OpenTime
 *
 * @typedef {object} Reservation Others' reservations have only their times.
 * @property {string} from
 * @property {string} to
 * @property {string} [busyFrom]
 * @property {string} [busyTo]
 * @property {string} [reservation]
 * @property {string} [room]
 * @property {number} [revision]
 * @property {'live' | 'cancelled'} [status]
 * @property {number} [people]
 * @property {string} [title]
 * @property {string} [reservedFor]
 * @property {string} [reservedBy]
 * @property {string} [bookedBy] Who made it for its owner.
 * @property {string} [series]
 *
 * @typedef {{from: number, to: number}} Span Instants.
 *
 * @typedef {object} Schedule
 * @property {Room} room
 * @property {number} version The version of the room's stream that it shows, at least.
 * @property {number} from The first instant that is shown.
 * @property {number} to
 * @property {Reservation[]} reservations
 * @property {{closure: string, from: string, to: string, reason?: string}[]} closures
 */

const DAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'];

/** All rooms that can be booked, by name. @param {{kind?: string, signal?: AbortSignal}} [of] @returns {Promise<Room[]>} */
export const roomsOf = ({ kind, signal } = {}) =>
  all(kind ? `/v1/rooms?kind=${encodeURIComponent(kind)}` : '/v1/rooms', { signal });

/**
 * A room's schedule of local days.
 *
 * @param {Room} room
 * @param {string} date
 * @param {{days?: number, token?: string, signal?: AbortSignal}} [options]
 * @returns {Promise<Schedule>}
 */
export async function scheduleOf(room, date, { days = 1, token, signal } = {}) {
  const { from } = dayOf(room.timeZone, date);
  const to = instantOf(room.timeZone, addDays(date, days));
  const path = `/v1/rooms/${room.room}/schedule?from=${rfc3339(from)}&to=${rfc3339(to)}&limit=500`;
  /** @type {Reservation[]} */
  const reservations = [];
  let answer = (await query(path, { token, signal })).data;
  const { closures = [] } = answer;
  reservations.push(...answer.items);
  while (answer.next) {
    answer = (await query(`${path}&cursor=${encodeURIComponent(answer.next)}`, { token, signal })).data;
    reservations.push(...answer.items);
  }
  return { room, version: answer.version, from, to, reservations, closures };
}

/**
 * When a room is open on a local day, by its opening hours, in order.
 *
 * @param {Room} room
 * @param {string} date
 * @returns {Span[]}
 */
export function openSpans({ openingHours, timeZone }, date) {
  const day = dayOf(timeZone, date);
  if (!openingHours) return [day];
  const spans = [];
  // A span of the day before may end after midnight.
  for (const of of [addDays(date, -1), date]) {
    const open = openingHours[DAYS[weekdayOf(of)]] ?? [];
    for (const { opens, closes } of Array.isArray(open) ? open : [open]) {
      const from = Math.max(day.from, instantOf(timeZone, of, minutesOfClock(opens)));
      const to = Math.min(day.to, instantOf(timeZone, of, minutesOfClock(closes)));
      if (from < to) spans.push({ from, to });
    }
  }
  return spans.sort((one, other) => one.from - other.from);
}

/** What of a span is not within these spans, which are in order. @param {Span} whole @param {Span[]} spans @returns {Span[]} */
export function gaps({ from, to }, spans) {
  const free = [];
  for (const span of spans) {
    if (span.from > from) free.push({ from, to: Math.min(span.from, to) });
    from = Math.max(from, span.to);
  }
  if (from < to) free.push({ from, to });
  return free.filter((span) => span.from < span.to);
}

/**
 * The schedules of all rooms on a local day, by name.
 *
 * @param {string} date
 * @param {AbortSignal} [signal]
 * @returns {Promise<Schedule[]>}
 */
export async function schedulesOf(date, signal) {
  const schedules = await all(`/v1/schedule?date=${date}`, { signal });
  return schedules.map(({ room, from, to, reservations, closures = [] }) => ({
    room,
    version: room.version,
    from: Date.parse(from),
    to: Date.parse(to),
    reservations,
    closures,
  }));
}

/** @type {Map<string, Promise<Room>>} */
const known = new Map();

/** A room by its id, retired or not. Names rarely change, so one answer is enough. @param {string} id @returns {Promise<Room>} */
export function roomOf(id) {
  let room = known.get(id);
  if (!room) {
    room = query(`/v1/rooms/${encodeURIComponent(id)}`).then(({ data }) => data);
    room.catch(() => known.delete(id));
    known.set(id, room);
  }
  return room;
}

/**
 * Rooms that would take such a stay now, by name.
 *
 * @param {{from: number, to: number, people?: number, kind?: string, most?: number}} stay
 * @returns {Promise<Room[]>}
 */
export async function available({ from, to, people = 1, kind, most = 100 }) {
  const parameters = new URLSearchParams({ from: rfc3339(from), to: rfc3339(to), people: String(people) });
  if (kind) parameters.set('kind', kind);
  parameters.set('limit', String(most));
  return (await query(`/v1/availability?${parameters}`)).data.items;
}
