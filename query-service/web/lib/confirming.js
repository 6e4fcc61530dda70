// Commands that took effect and that queries do not show yet.

import { signal } from '@preact/signals';

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
