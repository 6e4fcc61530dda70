// What of a series a change or a cancellation is of: one of its reservations, that and the following ones, or all.

import { html } from '../lib/html.js';
import { t } from '../lib/words.js';

/** @typedef {'one' | 'following' | 'all'} Extent */

/** @type {Extent[]} */
const EXTENTS = ['one', 'following', 'all'];

/** Where such a change is sent to. @param {any} reservation @param {Extent} extent */
export function pathOf({ room, reservation, series }, extent) {
  if (extent === 'one') return `/v1/rooms/${room}/reservations/${reservation}`;
  const all = `/v1/rooms/${room}/series/${series}`;
  return extent === 'all' ? all : `${all}/following/${reservation}`;
}

/** The condition of such a change: of several reservations there is none. @param {any} reservation @param {Extent} extent */
export const tagOf = ({ revision }, extent) => (extent === 'one' ? `"${revision}"` : undefined);

/** @param {{extent: Extent, set: (extent: Extent) => void}} properties */
export const ChooseExtent = ({ extent, set }) => html`
  <fieldset>
    <legend>${t('book.ofSeries')}</legend>
    ${EXTENTS.map(
      (name) => html`
        <label class="check">
          <input type="radio" name="extent" checked=${extent === name} onChange=${() => set(name)} />
          ${t(`book.extent.${name}`)}
        </label>
      `,
    )}
  </fieldset>
`;
