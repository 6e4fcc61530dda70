// Opens the form of a reservation, over whatever screen is shown.

import { signal } from '@preact/signals';

/**
 * @typedef {object} Booking
 * @property {import('./rooms.js').Room} room
 * @property {number} from
 * @property {number} to
 * @property {number} [people]
 * @property {import('./rooms.js').Reservation} [reservation] To change this one.
 */

/** What the form is open for. @type {import('@preact/signals').Signal<Booking | null>} */
export const asked = signal(/** @type {Booking | null} */ (null));

/** Opens the form. @param {Booking} booking */
export const book = (booking) => {
  asked.value = booking;
};
