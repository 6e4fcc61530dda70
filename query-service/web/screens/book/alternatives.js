// What is in the way of a stay, and what is free instead.

import { useEffect, useState } from 'preact/hooks';
import { html } from '../../lib/html.js';
import { Problem } from '../../lib/problem.js';
import { available, roomOf } from '../../lib/rooms.js';
import { showSpan } from '../../lib/time.js';
import { t } from '../../lib/words.js';

/** Most alternatives that are offered. */
const MOST = 5;

/**
 * @typedef {{room: import('../../lib/rooms.js').Room, from: number, to: number}} Instead
 *
 * @param {object} properties
 * @param {unknown} properties.error
 * @param {import('../../lib/rooms.js').Room} properties.room
 * @param {{from: number, to: number}} properties.span
 * @param {number} properties.people
 * @param {boolean} properties.isChange A change stays in its room: another command moves.
 * @param {(instead: Instead) => void} properties.take
 */
export function Alternatives({ error, room, span, people, isChange, take }) {
  const [offered, setOffered] = useState(/** @type {Instead[]} */ ([]));
  // A series that doesn't fit has its own list.
  const isConflict = error instanceof Problem && error.status === 409 && !error.members.misfits;
  const conflict = isConflict ? error.members : null;
  useEffect(() => {
    setOffered([]);
    if (!conflict) return undefined;
    let isCurrent = true;
    find(conflict, room, span, people).then(
      (found) => isCurrent && setOffered(found.filter((instead) => !isChange || instead.room.room === room.room)),
      () => {},
    );
    return () => {
      isCurrent = false;
    };
  }, [error]);
  if (!conflict) return null;
  const { inTheWay } = conflict;
  return html`
    <div role="status">
      ${
        inTheWay?.from &&
        html`<p>
        ${t('book.inTheWay', {
          when: showSpan(room.timeZone, Date.parse(inTheWay.from), Date.parse(inTheWay.to)),
        })}
      </p>`
      }
      ${
        offered.length > 0 &&
        html`
        <p id="book-instead">${t('book.alternatives')}</p>
        <ul class="book-alternatives" aria-labelledby="book-instead">
          ${offered.map(
            (instead) => html`
              <li>
                <button type="button" onClick=${() => take(instead)}>
                  ${t('book.alternative', {
                    room: instead.room.name,
                    when: showSpan(instead.room.timeZone, instead.from, instead.to),
                  })}
                </button>
              </li>
            `,
          )}
        </ul>
      `
      }
    </div>
  `;
}

/**
 * The service's alternatives, else rooms of the kind that are free at the same time.
 *
 * @param {any} conflict
 * @param {import('../../lib/rooms.js').Room} room
 * @param {{from: number, to: number}} span
 * @param {number} people
 * @returns {Promise<Instead[]>}
 */
async function find({ alternatives }, room, span, people) {
  if (!alternatives) {
    const rooms = await available({ ...span, people, kind: room.kind, most: MOST });
    return rooms.map((other) => ({ room: other, ...span }));
  }
  return Promise.all(
    alternatives.map(async (/** @type {any} */ { room: id, from, to }) => ({
      room: await roomOf(id),
      from: Date.parse(from),
      to: Date.parse(to),
    })),
  );
}
