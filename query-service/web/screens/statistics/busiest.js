// Reserved time by weekday or date and hour: a table whose cells show their number, and its size by colour.

import { html } from '../../lib/html.js';
import { showDate } from '../../lib/time.js';
import { locale, t } from '../../lib/words.js';
import { Download } from './csv.js';
import { showNumber } from './numbers.js';

/** Steps of colour above none. */
const STEPS = 5;
const HOURS = Array.from({ length: 24 }, (_, hour) => hour);

/**
 * @typedef {{weekday?: number, date?: string, hour: number, minutes?: number, reservations?: number, people?: number}} BusyHour
 *
 * @param {object} properties
 * @param {BusyHour[]} properties.hours
 * @param {'weekday' | 'date'} properties.by
 * @param {'minutes' | 'reservations' | 'people'} properties.measure
 * @param {string} properties.name
 */
export function Busiest({ hours, by, measure, name }) {
  /** @type {Map<string, number[]>} */
  const rows = new Map();
  for (const entry of hours) {
    const key = String(entry.date ?? entry.weekday);
    const row = rows.get(key) ?? new Array(24).fill(0);
    row[entry.hour] = entry[measure] ?? 0;
    rows.set(key, row);
  }
  if (!rows.size) return html`<p>${t('statistics.none')}</p>`;
  const days = [...rows].sort(([one], [other]) => (one < other ? -1 : 1));
  const most = Math.max(1, ...days.flatMap(([, row]) => row));
  // Hours of the table; minutes as they are would be too long to compare.
  const show = (/** @type {number} */ count) =>
    measure === 'minutes' ? showNumber(count / 60, count < 600 ? 1 : 0) : showNumber(count);
  return html`
    <div class="statistics-scroll" tabindex="0" role="group" aria-label=${t('statistics.busiest')}>
      <table class="statistics-busiest">
        <caption>
          ${t(`statistics.caption.${measure}`)}
        </caption>
        <thead>
          <tr>
            <th scope="col">${t(`statistics.by.${by}`)}</th>
            ${HOURS.map((hour) => html`<th key=${hour} scope="col">${hourText(hour)}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${days.map(
            ([day, row]) => html`
              <tr key=${day}>
                <th scope="row">${dayText(day)}</th>
                ${row.map(
                  (count, hour) => html`<td key=${hour} class=${`step-${stepOf(count, most)}`}>${show(count)}</td>`,
                )}
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
    <${Download}
      name=${`times-${name}`}
      columns=${[by, 'hour', measure]}
      rows=${days.flatMap(([day, row]) => row.map((count, hour) => [day, hour, count]))}
    />
  `;
}

/** 0 for none, else 1 to 5. @param {number} count @param {number} most */
const stepOf = (count, most) => Math.ceil((count / most) * STEPS);

/** The name of a weekday 1 (Monday) to 7, or a date. @param {string} day */
const dayText = (day) =>
  day.length === 1
    ? showDate(`2024-01-0${day}`, { weekday: 'short' })
    : showDate(day, { weekday: 'short', day: 'numeric', month: 'short' });

/** @param {number} hour */
const hourText = (hour) =>
  new Intl.DateTimeFormat(locale.value, { hour: 'numeric', timeZone: 'UTC' }).format(hour * 3_600_000);
