// What the fields of a room hold, and the command that they make.

import { t } from '../../lib/words.js';
import { hoursOf, textOfHours } from './hours.js';

/** Limits that a room may lack. */
export const LIMITS = /** @type {const} */ ([
  'slotMinutes',
  'minMinutes',
  'maxMinutes',
  'maxDaysAhead',
  'bufferBefore',
  'bufferAfter',
]);
/** Texts that a room may lack. */
export const TEXTS = /** @type {const} */ (['building', 'floor']);
/** Lists that a room may lack, with commas between their words. */
export const LISTS = /** @type {const} */ (['attributes', 'bookableBy']);

/** @param {any} room A room, or null for a new one. @returns {Record<string, any>} */
export function valuesOf(room) {
  /** @type {Record<string, any>} */
  const values = {
    name: room?.name ?? '',
    kind: room?.kind ?? '',
    capacity: String(room?.capacity ?? ''),
    timeZone: room?.timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
    isAlwaysOpen: !room?.openingHours,
    hours: textOfHours(room?.openingHours),
  };
  for (const name of LIMITS) values[name] = room?.[name] === undefined ? '' : String(room[name]);
  for (const name of TEXTS) values[name] = room?.[name] ?? '';
  for (const name of LISTS) values[name] = (room?.[name] ?? []).join(', ');
  for (const name of ['reservations', 'minutes']) {
    values[`ahead-${name}`] = room?.maxAhead?.[name] === undefined ? '' : String(room.maxAhead[name]);
  }
  return values;
}

/** The fields that can't be sent, with the reasons. @param {Record<string, any>} values */
export function check(values) {
  /** @type {Record<string, string>} */
  const wrong = {};
  for (const name of ['name', 'kind', 'timeZone']) {
    if (!values[name].trim()) wrong[name] = t('book.invalid');
  }
  if (!/^[1-9]\d{0,9}$/.test(values.capacity)) wrong.capacity = t('book.invalid');
  for (const name of [...LIMITS, 'ahead-reservations', 'ahead-minutes']) {
    if (!/^\d{0,7}$/.test(values[name])) wrong[name] = t('book.invalid');
  }
  if (!values.isAlwaysOpen) {
    for (const [day, text] of Object.entries(values.hours)) {
      if (!hoursOf(text)) wrong[day] = t('admin.hoursWrong');
    }
  }
  return wrong;
}

/** All settings that the fields mean; null where there is none. @param {Record<string, any>} values @param {boolean} isPatch */
function settingsOf(values, isPatch) {
  const number = (/** @type {string} */ text) => (text === '' ? null : Number(text));
  /** @type {Record<string, any>} */
  const settings = {
    name: values.name.trim(),
    kind: values.kind.trim(),
    capacity: Number(values.capacity),
    timeZone: values.timeZone.trim(),
    openingHours: values.isAlwaysOpen ? null : openingHours(values.hours, isPatch),
  };
  for (const name of LIMITS) settings[name] = number(values[name]);
  for (const name of TEXTS) settings[name] = values[name].trim() || null;
  for (const name of LISTS) {
    const words = values[name].split(',').map((/** @type {string} */ word) => word.trim());
    settings[name] = words.some(Boolean) ? words.filter(Boolean) : null;
  }
  const ahead = { reservations: number(values['ahead-reservations']), minutes: number(values['ahead-minutes']) };
  // Both limits: in a patch, one that is not named stays.
  settings.maxAhead = Object.values(ahead).some((limit) => limit !== null) ? ahead : null;
  return settings;
}

/**
 * Open time by day. Either all days are lists or none, as in the service's answers. A patch names closed days, too.
 *
 * @param {Record<string, string>} hours
 * @param {boolean} isPatch
 */
function openingHours(hours, isPatch) {
  const days = Object.entries(hours).map(([day, text]) => /** @type {const} */ ([day, hoursOf(text) ?? []]));
  const isPlain = days.every(([, spans]) => spans.length < 2 && spans.every(({ closes }) => closes <= '24:00'));
  const shown = days.map(([day, spans]) => [day, spans.length ? (isPlain ? spans[0] : spans) : null]);
  return Object.fromEntries(shown.filter(([, spans]) => spans || isPatch));
}

/** A new room. @param {Record<string, any>} values */
export const newRoom = (values) =>
  Object.fromEntries(Object.entries(settingsOf(values, false)).filter(([, value]) => value !== null));

/** The changed settings alone. @param {Record<string, any>} values @param {any} room */
export function patchOf(values, room) {
  const [now, before] = [settingsOf(values, true), settingsOf(valuesOf(room), true)];
  const changed = Object.entries(now).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name]));
  return Object.fromEntries(changed);
}
