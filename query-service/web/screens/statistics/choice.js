// The period, kind and measure of the statistics. The address keeps them.

import { html } from '../../lib/html.js';
import { useLoaded } from '../../lib/loading.js';
import { now } from '../../lib/now.js';
import { change } from '../../lib/router.js';
import { addDays, dateOf, ownZone } from '../../lib/time.js';
import { t } from '../../lib/words.js';
import { kinds } from '../kinds.js';

/** @param {{period: import('./index.js').Period}} properties */
export function Choice({ period }) {
  const known = useLoaded((signal) => kinds(signal), []);
  const today = dateOf(ownZone, now.value);
  /** @type {{name: string, empty?: string, values: string[][]}[]} */
  const choices = [
    { name: 'kind', empty: t('day.all'), values: (known.data ?? []).map((kind) => [kind, kind]) },
    { name: 'by', values: ['weekday', 'date'].map((value) => [value, t(`statistics.by.${value}`)]) },
    {
      name: 'measure',
      values: ['minutes', 'reservations', 'people'].map((value) => [value, t(`statistics.measure.${value}`)]),
    },
  ];
  return html`
    <div class="bar">
      ${['from', 'until'].map(
        (name) => html`
          <div class="field" key=${name}>
            <label for=${`statistics-${name}`}>${t(`statistics.${name}`)}</label>
            <input
              id=${`statistics-${name}`}
              type="date"
              required
              value=${/** @type {any} */ (period)[name]}
              onChange=${(/** @type {any} */ event) => event.target.value && change({ [name]: event.target.value })}
            />
          </div>
        `,
      )}
      ${choices.map(
        ({ name, empty, values }) => html`
          <div class="field" key=${name}>
            <label for=${`statistics-${name}`}>
              ${name === 'kind' ? t('day.kind') : t(`statistics.${name}.label`)}
            </label>
            <select
              id=${`statistics-${name}`}
              value=${/** @type {any} */ (period)[name]}
              onChange=${(/** @type {any} */ event) => change({ [name]: event.target.value })}
            >
              ${empty && html`<option value="">${empty}</option>`}
              ${values.map(([value, text]) => html`<option value=${value}>${text}</option>`)}
            </select>
          </div>
        `,
      )}
      <div class="buttons">
        ${[7, 30, 365].map(
          (days) => html`
            <button type="button" onClick=${() => change({ from: addDays(today, 1 - days), until: today })}>
              ${t('statistics.lastDays', { count: days })}
            </button>
          `,
        )}
      </div>
    </div>
  `;
}
