// A room's schedule at a moment or version of the past.

import { query } from '../../lib/api.js';
import { rfc3339 } from '../../lib/time.js';

/**
 * @typedef {object} AtThatTime
 * @property {number} version The room's version that is shown.
 * @property {number | undefined} recorded When it was recorded.
 * @property {import('../../lib/rooms.js').Reservation[]} items
 * @property {{closure: string, from: string, to: string, reason?: string}[]} closures
 */

/**
 * All pages of it; they show one version.
 *
 * @param {string} room
 * @param {{from: number, to: number}} span
 * @param {{moment?: number, version?: number}} at Neither for the present.
 * @param {AbortSignal} signal
 * @returns {Promise<AtThatTime>}
 */
export async function schedulePage(room, { from, to }, { moment, version }, signal) {
  const parameters = new URLSearchParams({ from: rfc3339(from), to: rfc3339(to), limit: '500' });
  if (moment !== undefined) parameters.set('asOf', new Date(moment).toISOString());
  if (version !== undefined) parameters.set('version', String(version));
  /** @type {AtThatTime | undefined} */
  let shown;
  for (;;) {
    const { data, moment: recorded } = await query(`/v1/rooms/${room}/schedule?${parameters}`, { signal });
    if (!shown) {
      const at = recorded ? Date.parse(recorded) : undefined;
      shown = { version: data.version, recorded: at, items: [], closures: data.closures ?? [] };
    }
    shown.items.push(...data.items);
    if (!data.next) return shown;
    parameters.set('cursor', data.next);
  }
}
