// The hours above a grid, in the rooms' zone, and on the reader's clock where that shows others.

import { useEffect, useRef } from 'preact/hooks';
import { html } from '../../lib/html.js';
import { differsFromOwn, ownZone, showTime } from '../../lib/time.js';
import { t } from '../../lib/words.js';

const HOUR = 3_600_000;

/** @param {{day: {from: number, to: number}, zone: string}} properties */
export function Hours({ day, zone }) {
  const row = useRef(/** @type {HTMLElement | null} */ (null));
  const hours = [];
  for (let hour = day.from; hour < day.to; hour += HOUR) hours.push(hour);
  // The working day is in view at first, where not all of it fits.
  useEffect(() => {
    const scroll = row.current?.closest('.day-scroll');
    if (scroll) scroll.scrollLeft = (scroll.scrollWidth - scroll.clientWidth) * 0.45;
  }, []);
  const differs = differsFromOwn(zone, day.from);
  return html`
    <div role="row" class="day-row day-hours" ref=${row}>
      <div role="columnheader" class="day-room">${t('day.room')}</div>
      <div class="day-track">
        ${hours.map(
          (hour) => html`
            <div
              role="columnheader"
              class="day-hour"
              style=${{
                left: `${((hour - day.from) / (day.to - day.from)) * 100}%`,
                width: `${(HOUR / (day.to - day.from)) * 100}%`,
              }}
            >
              ${showTime(zone, hour)}
              ${differs && html`<span class="day-own">${showTime(ownZone, hour)}</span>`}
            </div>
          `,
        )}
      </div>
    </div>
  `;
}
