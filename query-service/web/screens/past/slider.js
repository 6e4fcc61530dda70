// The moment: a slider from some days ago until now, and a field for an exact one.

import { useEffect, useRef, useState } from 'preact/hooks';
import { html } from '../../lib/html.js';
import { now } from '../../lib/now.js';
import { change } from '../../lib/router.js';
import { clockOf, dateOf, instantOf, minutesOfClock, ownZone, showInstant } from '../../lib/time.js';
import { t } from '../../lib/words.js';

const MINUTE = 60_000;
/** Days that the slider goes back. */
const BACK = [1, 7, 30, 365];
/** Milliseconds without a movement after which the moment is loaded. */
const REST = 250;

/**
 * @param {object} properties
 * @param {number | undefined} properties.moment The one that is shown.
 * @param {boolean} properties.isPast
 * @param {number} properties.back
 */
export function Slider({ moment, isPast, back }) {
  const days = BACK.includes(back) ? back : 30;
  const end = Math.floor(now.value / MINUTE);
  const start = end - days * 1440;
  const shown = isPast && moment !== undefined ? Math.floor(moment / MINUTE) : end;
  const [moved, setMoved] = useState(/** @type {number | null} */ (null));
  const timer = useRef(/** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined));
  useEffect(() => () => clearTimeout(timer.current), []);
  useEffect(() => setMoved(null), [shown]);
  const minute = Math.min(end, Math.max(start, moved ?? shown));
  const text = minute >= end ? t('past.present') : showInstant(ownZone, minute * MINUTE);
  /** @param {number} to */
  const move = (to) => {
    setMoved(to);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => go(to >= end ? undefined : to * MINUTE), REST);
  };
  /** @param {number | undefined} instant */
  const go = (instant) =>
    change({ moment: instant === undefined ? undefined : new Date(instant).toISOString(), version: undefined });
  const exact = (moved ?? shown) * MINUTE;
  return html`
    <div class="past-slider">
      <label for="past-slider">${t('past.moment')}: <output for="past-slider">${text}</output></label>
      <input
        id="past-slider"
        type="range"
        min=${start}
        max=${end}
        step=${days}
        value=${minute}
        aria-valuetext=${text}
        onInput=${(/** @type {any} */ event) => move(Number(event.target.value))}
      />
      <div class="bar">
        <div class="field">
          <label for="past-back">${t('past.back')}</label>
          <select
            id="past-back"
            value=${String(days)}
            onChange=${(/** @type {any} */ event) => change({ back: event.target.value })}
          >
            ${BACK.map((count) => html`<option value=${String(count)}>${t('past.countOfDays', { count })}</option>`)}
          </select>
        </div>
        <div class="field">
          <label for="past-exact">${t('past.exact')}</label>
          <input
            id="past-exact"
            type="datetime-local"
            value=${`${dateOf(ownZone, exact)}T${clockOf(ownZone, exact)}`}
            max=${`${dateOf(ownZone, end * MINUTE)}T${clockOf(ownZone, end * MINUTE)}`}
            onChange=${(/** @type {any} */ event) => {
              const [date, clock] = event.target.value.split('T');
              const instant = clock ? instantOf(ownZone, date, minutesOfClock(clock)) : Number.NaN;
              if (instant < Date.now()) go(instant);
            }}
          />
        </div>
      </div>
    </div>
  `;
}
