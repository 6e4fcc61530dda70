// Sends commands whose answer is a line for each room.

import { problemOf, send } from '../../lib/api.js';
import { config } from '../../lib/config.js';
import { Lost } from '../../lib/problem.js';

/**
 * @typedef {object} Line
 * @property {string} room
 * @property {number} status
 * @property {{reservation: string, from: string, to: string}[]} [hits] Reservations in the closed time. They stay.
 * @property {number} [moreHits]
 * @property {string} [consistencyToken]
 * @property {any} [problem]
 */

/**
 * Its lines. Sent again with the same key, it goes on where it broke off.
 *
 * @param {'POST' | 'DELETE'} method
 * @param {string} path
 * @param {any} body
 * @param {string} key
 * @returns {Promise<Line[]>}
 */
export async function linesOf(method, path, body, key) {
  const answer = await send(config.commands + path, method, { body, headers: { 'Idempotency-Key': key } });
  if (!answer.ok) throw await problemOf(answer);
  try {
    const text = await answer.text();
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  } catch (error) {
    throw new Lost(String(error));
  }
}
