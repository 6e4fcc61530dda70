// Rooms by reserved time: a table with bars.

import { html } from '../../lib/html.js';
import { address } from '../../lib/router.js';
import { locale, t } from '../../lib/words.js';
import { Download } from './csv.js';
import { showHours, showNumber } from './numbers.js';

/**
 * @typedef {{room: string, name: string, minutes: number, reservations: number, people?: number, occupancy?: number}} PopularRoom
 *
 * @param {{rooms: PopularRoom[], name: string}} properties
 */
export function Popular({ rooms, name }) {
  if (!rooms.length) return html`<p>${t('statistics.none')}</p>`;
  const most = Math.max(1, ...rooms.map(({ minutes }) => minutes));
  const hasPeople = rooms.some(({ people }) => people !== undefined);
  const hasOccupancy = rooms.some(({ occupancy }) => occupancy !== undefined);
  const columns = [
    ['room', t('day.room')],
    ['minutes', t('statistics.measure.minutes')],
    ['reservations', t('statistics.measure.reservations')],
    ...(hasPeople ? [['people', t('statistics.measure.people')]] : []),
    ...(hasOccupancy ? [['occupancy', t('statistics.occupancy')]] : []),
  ];
  const rows = rooms.map((room) => [
    room.name,
    room.minutes,
    room.reservations,
    ...(hasPeople ? [room.people ?? ''] : []),
    ...(hasOccupancy ? [room.occupancy ?? ''] : []),
  ]);
  return html`
    <div class="statistics-scroll" tabindex="0" role="group" aria-label=${t('statistics.popular')}>
      <table class="statistics-popular">
        <thead>
          <tr>
            ${columns.map(([key, text]) => html`<th key=${key} scope="col">${text}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rooms.map(
            (room) => html`
              <tr key=${room.room}>
                <th scope="row"><a href=${address('week', { room: room.room })}>${room.name}</a></th>
                <td class="statistics-bar">
                  <span aria-hidden="true" style=${{ width: `${(room.minutes / most) * 100}%` }}></span>
                  <b>${showHours(room.minutes)}</b>
                </td>
                <td>${showNumber(room.reservations)}</td>
                ${hasPeople && html`<td>${showNumber(room.people ?? 0)}</td>`}
                ${hasOccupancy && html`<td>${room.occupancy === undefined ? '–' : percent(room.occupancy)}</td>`}
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
    <${Download} name=${`rooms-${name}`} columns=${columns.map(([key]) => key)} rows=${rows} />
  `;
}

/** @param {number} share */
const percent = (share) =>
  new Intl.NumberFormat(locale.value, { style: 'percent', maximumFractionDigits: 1 }).format(share);
