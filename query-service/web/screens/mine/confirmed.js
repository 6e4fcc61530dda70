// Follows a command until queries show it, and says so.

import { confirm } from '../../lib/acting.js';
import { announce } from '../../lib/announce.js';
import { t } from '../../lib/words.js';

/**
 * @param {import('../../lib/api.js').Answer} answer
 * @param {any} reservation
 * @param {string} text
 */
export async function followed({ data, token }, reservation, text) {
  announce(`${text} ${t('book.confirming')}`);
  const [from, to] = [Date.parse(reservation.from), Date.parse(reservation.to)];
  const id = data.reservation ?? data.occurrences[0].reservation;
  await confirm({ room: data.room, reservation: id, from, to, token: String(token) });
  announce(text);
}
