// What both services tell of themselves.

import { problemOf, send } from '../../lib/api.js';
import { config } from '../../lib/config.js';
import { roomOf } from '../../lib/rooms.js';

/** A document for administrators. @param {string} at @param {AbortSignal} [signal] @returns {Promise<any>} */
export async function ask(at, signal) {
  const answer = await send(at, 'GET', { signal });
  if (!answer.ok) throw await problemOf(answer);
  return answer.json();
}

/**
 * Whether a service can work, and why not. `undefined` where it does not answer.
 *
 * @param {string} origin
 * @param {AbortSignal} signal
 */
export async function readinessOf(origin, signal) {
  const answer = await send(`${origin}/health/ready`, 'GET', { signal }).catch(() => null);
  return answer?.json().catch(() => undefined);
}

/**
 * The metrics of the instance that answers; those of several labels are added up. None where it does not answer.
 *
 * @param {string} origin
 * @param {AbortSignal} signal
 * @returns {Promise<Map<string, number>>}
 */
export async function metricsOf(origin, signal) {
  const answer = await send(`${origin}/v1/admin/metrics`, 'GET', { signal }).catch(() => null);
  const text = answer?.ok ? await answer.text() : '';
  /** @type {Map<string, number>} */
  const metrics = new Map();
  for (const line of text.split('\n')) {
    const [, name, value] = /^([a-z_]+)(?:\{.*\})? (\S+)$/.exec(line) ?? [];
    if (name) metrics.set(name, (metrics.get(name) ?? 0) + Number(value));
  }
  return metrics;
}

/** Rooms or changes with the names of their rooms. @param {any[]} items @returns {Promise<any[]>} */
export const withNames = (items) =>
  Promise.all(
    items.map(async (item) => {
      const room = await roomOf(item.room).catch(() => null);
      return { ...item, name: room?.name ?? item.room };
    }),
  );

/**
 * What a roll-back would do.
 *
 * @param {Record<string, string>} selection
 */
export async function previewOf(selection) {
  const at = `${config.commands}/v1/admin/roll-back?${new URLSearchParams(selection)}`;
  const plan = await ask(at);
  return { ...plan, changes: await withNames(plan.changes) };
}
