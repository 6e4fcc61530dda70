// What the fields hold, and what it means in a room's zone.

import { clockOf, dateOf, instantOf, minutesOfClock } from '../../lib/time.js';
import { t } from '../../lib/words.js';

/**
 * @typedef {object} Values
 * @property {string} fromDate
 * @property {string} from
 * @property {string} toDate
 * @property {string} to
 * @property {string} people
 * @property {string} title
 * @property {string} reservedFor
 * @property {string} reservedBy The owner, if that is not the caller.
 * @property {string} repeat Empty, or how often it repeats.
 * @property {string} times How many there are, with the first one.
 * @property {boolean} skip Whether those that don't fit are left out.
 * @property {{texts: string, zone: string, from: number, to: number}} opened The times as they were when the form was opened.
 */

/** @param {Values | Omit<Values, 'opened'>} values */
const textsOf = ({ fromDate, from, toDate, to }) => [fromDate, from, toDate, to].join();

/** @param {import('../../lib/booking.js').Booking} booking @returns {Values} */
export function valuesOf({ room, from, to, people, reservation }) {
  const zone = room.timeZone;
  const values = {
    fromDate: dateOf(zone, from),
    from: clockOf(zone, from),
    toDate: dateOf(zone, to),
    to: clockOf(zone, to),
    people: String(reservation?.people ?? people ?? 1),
    title: reservation?.title ?? '',
    reservedFor: reservation?.reservedFor ?? '',
    reservedBy: '',
    repeat: '',
    times: '10',
    skip: false,
  };
  return { ...values, opened: { texts: textsOf(values), zone, from, to } };
}

/**
 * The instants that the fields mean. Untouched ones mean the times that the form was opened with: when clocks go back, a
 * time of day alone would not tell which of two.
 *
 * @param {Values} values
 * @param {string} zone
 */
export function spanOf(values, zone) {
  const { opened } = values;
  if (textsOf(values) === opened.texts && zone === opened.zone) return { from: opened.from, to: opened.to };
  const { fromDate, from, toDate, to } = values;
  if (!fromDate || !from || !toDate || !to) return { from: Number.NaN, to: Number.NaN };
  return {
    from: instantOf(zone, fromDate, minutesOfClock(from)),
    to: instantOf(zone, toDate, minutesOfClock(to)),
  };
}

/** The fields that can't be sent, with the reasons. @param {Values} values @param {{from: number, to: number}} span */
export function check(values, span) {
  /** @type {Record<string, string>} */
  const wrong = {};
  for (const name of /** @type {const} */ (['fromDate', 'from', 'toDate', 'to'])) {
    if (!values[name]) wrong[name] = t('book.invalid');
  }
  if (!Object.keys(wrong).length && span.to <= span.from) wrong.to = t('book.order');
  if (values.repeat && !(Number(values.times) >= 2 && Number(values.times) <= 400)) wrong.times = t('book.invalid');
  if (!/^[1-9]\d{0,9}$/.test(values.people)) wrong.people = t('book.invalid');
  return wrong;
}

/**
 * The changed values alone, so that a change of the title breaks no rule of time.
 *
 * @param {Values} values
 * @param {{from: string, to: string, people: number}} stay
 * @param {import('../../lib/rooms.js').Reservation} old
 */
export function patchOf(values, stay, old) {
  /** @type {Record<string, any>} */
  const patch = {};
  if (Date.parse(stay.from) !== Date.parse(old.from)) patch.from = stay.from;
  if (Date.parse(stay.to) !== Date.parse(old.to)) patch.to = stay.to;
  if (stay.people !== old.people) patch.people = stay.people;
  if (values.title !== (old.title ?? '')) patch.title = values.title || null;
  if (values.reservedFor !== (old.reservedFor ?? '')) patch.reservedFor = values.reservedFor || null;
  return patch;
}
