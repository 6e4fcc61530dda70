// Times in which rooms are closed: those ahead, and the form of a new one.

import { useState } from 'preact/hooks';
import { announce } from '../../lib/announce.js';
import { newKey, query } from '../../lib/api.js';
import { html } from '../../lib/html.js';
import { Trouble, useLoaded } from '../../lib/loading.js';
import { explain } from '../../lib/problem.js';
import { roomsOf } from '../../lib/rooms.js';
import { rfc3339, showSpan } from '../../lib/time.js';
import { t } from '../../lib/words.js';
import { linesOf } from './closing.js';
import { ClosureForm } from './closure-form.js';

/** Rooms whose closures are read. */
const MOST_ROOMS = 200;
/** Requests at once. */
const AT_ONCE = 5;

/**
 * @typedef {{closure: string, from: string, to: string, reason: string, zone: string, rooms: string[]}} Closure
 */

export function Closures() {
  const rooms = useLoaded((signal) => roomsOf({ signal }), []);
  const loaded = useLoaded((signal) => load(rooms.data, signal), [rooms.data]);
  const trouble = rooms.error ?? loaded.error;
  const [error, setError] = useState(/** @type {unknown} */ (null));
  const [busy, setBusy] = useState('');
  /** @param {Closure} closure */
  const lift = async ({ closure }) => {
    setError(null);
    setBusy(closure);
    try {
      const lines = await linesOf('DELETE', `/v1/closures/${closure}`, undefined, newKey());
      announce(t('admin.lifted', { count: lines.length }));
      await visible(lines);
      loaded.reload();
    } catch (failure) {
      setError(failure);
    }
    setBusy('');
  };
  /** @param {import('./closing.js').Line[]} lines */
  const made = async (lines) => {
    await visible(lines);
    loaded.reload();
  };
  return html`
    <section aria-labelledby="admin-closures">
      <h2 id="admin-closures">${t('admin.part.closures')}</h2>
      <${Trouble} error=${trouble} />
      ${error && html`<p class="trouble" role="alert">${explain(error)}</p>`}
      <div role="status">
        ${!loaded.data && !trouble && html`<p class="quiet-text">${t('admin.loadingClosures')}</p>`}
      </div>
      <ul class="admin-list" aria-busy=${loaded.loading}>
        ${(loaded.data ?? []).map(
          (closure) => html`
            <li key=${closure.closure}>
              <b>${closure.reason}</b>, ${showSpan(closure.zone, Date.parse(closure.from), Date.parse(closure.to))}<br />
              <span class="quiet-text">${closure.rooms.join(', ')}</span>
              <button type="button" disabled=${busy === closure.closure} onClick=${() => lift(closure)}>
                ${t('admin.lift')}<span class="visually-hidden"> ${closure.reason}</span>
              </button>
            </li>
          `,
        )}
      </ul>
      ${loaded.data?.length === 0 && html`<p>${t('admin.noClosures')}</p>`}
      ${
        rooms.data &&
        rooms.data.length > MOST_ROOMS &&
        html`<p class="quiet-text">${t('admin.someRooms', { count: MOST_ROOMS })}</p>`
      }
      <${ClosureForm} rooms=${rooms.data ?? []} made=${made} />
    </section>
  `;
}

/** Waits until queries show what was done, at one of the rooms. @param {import('./closing.js').Line[]} lines */
async function visible(lines) {
  const token = lines.findLast(({ consistencyToken }) => consistencyToken)?.consistencyToken;
  if (token) await query('/v1/rooms?limit=1', { token, wait: 10 }).catch(() => null);
}

/**
 * Closures of the year ahead, with the names of their rooms.
 *
 * @param {import('../../lib/rooms.js').Room[] | undefined} rooms
 * @param {AbortSignal} signal
 */
async function load(rooms, signal) {
  if (!rooms) return undefined;
  /** @type {Map<string, Closure>} */
  const closures = new Map();
  const from = Math.floor(Date.now() / 60_000) * 60_000;
  const range = `from=${rfc3339(from)}&to=${rfc3339(from + 365 * 86_400_000)}&limit=1`;
  const left = rooms.slice(0, MOST_ROOMS);
  const worker = async () => {
    for (let room = left.shift(); room; room = left.shift()) {
      const { data } = await query(`/v1/rooms/${room.room}/schedule?${range}`, { signal });
      for (const closure of data.closures ?? []) {
        const known = closures.get(closure.closure) ?? { ...closure, zone: room.timeZone, rooms: [] };
        known.rooms.push(room.name);
        closures.set(closure.closure, known);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return [...closures.values()].sort((one, other) => (one.from < other.from ? -1 : 1));
}
