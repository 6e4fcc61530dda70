// Commands that took effect and that queries do not show yet. A query with the command's token tells when they do.

import { signal } from '@preact/signals';
import { query } from './api.js';
import { Problem } from './problem.js';

/**
 * @typedef {object} Confirming
 * @property {string} room
 * @property {string} reservation
 * @property {number} from
 * @property {number} to
 * @property {string} token
 */

/** What is being confirmed. @type {import('@preact/signals').Signal<Confirming[]>} */
export const confirming = signal(/** @type {Confirming[]} */ ([]));

/** The last confirmed command: whoever shows its room or reservation loads it again. */
export const confirmed = signal({ room: '' });

/** Seconds that one query waits. */
const WAIT = 10;

/**
 * Waits until queries show a command's effect.
 *
 * @param {Confirming} effect
 * @returns {Promise<any>} The reservation as queries show it.
 */
export async function confirm(effect) {
  confirming.value = [...confirming.value, effect];
  try {
    for (;;) {
      try {
        const { data } = await query(`/v1/reservations/${effect.reservation}`, { token: effect.token, wait: WAIT });
        return data;
      } catch (error) {
        // It has taken effect; only seeing it takes longer.
        if (error instanceof Problem && error.status < 500 && error.status !== 429) throw error;
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
    }
  } finally {
    confirming.value = confirming.value.filter((other) => other !== effect);
    confirmed.value = { room: effect.room };
  }
}
