// Numbers in words.

import { locale, t } from '../../lib/words.js';

/** @param {number} number @param {number} [digits] After the point. */
export const showNumber = (number, digits = 0) =>
  new Intl.NumberFormat(locale.value, { maximumFractionDigits: digits }).format(number);

/** Minutes as hours. @param {number} minutes */
export const showHours = (minutes) => t('statistics.hours', { hours: showNumber(minutes / 60, 1) });
