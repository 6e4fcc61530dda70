// Times of rooms. Instants are milliseconds since 1970; a date is `YYYY-MM-DD` in a zone; a wall time is minutes after
// local midnight, from 1440 on of the next day. The browser's own database of time zones converts them.

import { locale } from './words.js';

const MINUTE = 60_000;
const DAY = 1440 * MINUTE;

/** The reader's own zone. */
export const ownZone = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** Instants of wall times, which all rooms of a day ask for. @type {Map<string, number>} */
const instants = new Map();

/** Times of day in words, of the zone that was asked for last: rooms of a day have the same ones. */
let shown = { zone: '', locale: '', times: /** @type {Map<number, string>} */ (new Map()) };

/** @type {Map<string, Intl.DateTimeFormat>} */
const formats = new Map();

/** @param {string} written @param {Intl.DateTimeFormatOptions} options */
function format(written, options) {
  const key = written + JSON.stringify(options);
  let known = formats.get(key);
  if (!known) {
    known = new Intl.DateTimeFormat(written, options);
    formats.set(key, known);
  }
  return known;
}

/** The wall clock of a zone as if it were UTC. @param {string} zone @param {number} instant */
function wall(zone, instant) {
  const parts = format('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  }).formatToParts(instant);
  /** @type {Record<string, number>} */
  const part = {};
  for (const { type, value } of parts) part[type] = Number(value);
  return Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute, part.second);
}

/** Minutes that a zone is ahead of UTC. @param {string} zone @param {number} instant */
export const offset = (zone, instant) => Math.round((wall(zone, instant) - instant) / MINUTE);

/** @param {string} date */
const midnightAsUtc = (date) => Date.parse(`${date}T00:00:00Z`);

/**
 * The instant of a wall time. Where the clock goes forward over it, the time after the gap; where it shows it twice, the
 * first one.
 *
 * @param {string} zone
 * @param {string} date
 * @param {number} [minutes]
 */
export function instantOf(zone, date, minutes = 0) {
  const key = `${zone} ${date} ${minutes}`;
  let instant = instants.get(key);
  if (instant === undefined) {
    if (instants.size >= 5000) instants.clear();
    instant = computedInstantOf(zone, date, minutes);
    instants.set(key, instant);
  }
  return instant;
}

/** @param {string} zone @param {string} date @param {number} minutes */
function computedInstantOf(zone, date, minutes) {
  const local = midnightAsUtc(date) + minutes * MINUTE;
  const before = local - offset(zone, local - DAY) * MINUTE;
  const after = local - offset(zone, local + DAY) * MINUTE;
  const fits = [before, after].filter((instant) => wall(zone, instant) === local);
  return fits.length ? Math.min(...fits) : before;
}

/** The date on a zone's wall. @param {string} zone @param {number} instant */
export const dateOf = (zone, instant) => new Date(wall(zone, instant)).toISOString().slice(0, 10);

/** The wall time of an instant, in minutes after midnight of its date. @param {string} zone @param {number} instant */
export const minutesOf = (zone, instant) => Math.floor((wall(zone, instant) % DAY) / MINUTE);

/** @param {string} date @param {number} days */
export const addDays = (date, days) => new Date(midnightAsUtc(date) + days * DAY).toISOString().slice(0, 10);

/** A date that an address has, if there is such a day. @param {string} [text] */
export function dateIn(text = '') {
  const isDate = /^[12]\d{3}-\d\d-\d\d$/.test(text) && !Number.isNaN(midnightAsUtc(text));
  return isDate && addDays(text, 0) === text ? text : undefined;
}

/** The local day. @param {string} zone @param {string} date */
export const dayOf = (zone, date) => ({ from: instantOf(zone, date), to: instantOf(zone, addDays(date, 1)) });

/** 0 (Monday) to 6. @param {string} date */
export const weekdayOf = (date) => (new Date(midnightAsUtc(date)).getUTCDay() + 6) % 7;

/** As the services read and write instants. @param {number} instant */
export const rfc3339 = (instant) => new Date(instant).toISOString().replace('.000Z', 'Z');

/** `HH:MM` of a form, in a zone. @param {string} zone @param {number} instant */
export function clockOf(zone, instant) {
  const minutes = minutesOf(zone, instant);
  return `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`;
}

/** Minutes of `HH:MM`. @param {string} clock */
export const minutesOfClock = (clock) => Number(clock.slice(0, 2)) * 60 + Number(clock.slice(3, 5));

/** A time of day in words. @param {string} zone @param {number} instant */
export function showTime(zone, instant) {
  if (shown.zone !== zone || shown.locale !== locale.value || shown.times.size >= 5000) {
    shown = { zone, locale: locale.value, times: new Map() };
  }
  let time = shown.times.get(instant);
  if (time === undefined) {
    time = format(locale.value, { timeZone: zone, hour: 'numeric', minute: '2-digit' }).format(instant);
    shown.times.set(instant, time);
  }
  return time;
}

/** A date in words. @param {string} date @param {Intl.DateTimeFormatOptions} [options] */
export const showDate = (date, options = { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' }) =>
  format(locale.value, { ...options, timeZone: 'UTC' }).format(midnightAsUtc(date));

/** Day and time in words. @param {string} zone @param {number} instant */
export const showInstant = (zone, instant) =>
  format(locale.value, {
    timeZone: zone,
    weekday: 'short',
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: 'numeric',
    minute: '2-digit',
  }).format(instant);

/** A span in words; the day once if it is one day. @param {string} zone @param {number} from @param {number} to */
export const showSpan = (zone, from, to) =>
  format(locale.value, {
    timeZone: zone,
    weekday: 'short',
    day: 'numeric',
    month: 'short',
    hour: 'numeric',
    minute: '2-digit',
  }).formatRange(from, to);

/** Minutes in words; whole days as days. @param {number} minutes */
export function showMinutes(minutes) {
  const [count, unit] = minutes % 1440 ? [minutes, 'minute'] : [minutes / 1440, 'day'];
  return new Intl.NumberFormat(locale.value, { style: 'unit', unit, unitDisplay: 'long' }).format(count);
}

/** The zone's name, such as "Lisbon". @param {string} zone */
export const showZone = (zone) => zone.split('/').pop()?.replaceAll('_', ' ') ?? zone;

/** Whether both zones show other times at this instant. @param {string} zone @param {number} instant */
export const differsFromOwn = (zone, instant) => offset(zone, instant) !== offset(ownZone, instant);
