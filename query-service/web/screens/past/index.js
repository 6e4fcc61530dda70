// A room's schedule as it was at a moment of the past, and how it differs from the present one.

import { confirmed } from '../../lib/confirming.js';
import { html } from '../../lib/html.js';
import { Trouble, useLoaded } from '../../lib/loading.js';
import { now } from '../../lib/now.js';
import { Problem } from '../../lib/problem.js';
import { roomOf, roomsOf } from '../../lib/rooms.js';
import { change } from '../../lib/router.js';
import { addDays, dateIn, dateOf, instantOf, ownZone, showInstant, showZone } from '../../lib/time.js';
import { t } from '../../lib/words.js';
import { compared } from './compared.js';
import { Entries } from './entries.js';
import { schedulePage } from './schedule.js';
import { Slider } from './slider.js';

/** Days of the schedule that one can choose. */
const DAYS = [1, 7, 31];

/** @param {{parameters: Record<string, string>}} properties */
export default function Past({ parameters }) {
  const rooms = useLoaded((signal) => roomsOf({ signal }), []);
  const id = parameters.room || rooms.data?.[0]?.room;
  const date = dateIn(parameters.date) ?? dateOf(ownZone, now.value);
  const days = DAYS.includes(Number(parameters.days)) ? Number(parameters.days) : 7;
  const at = momentOf(parameters);
  const present = useLoaded((signal) => load(id, date, days, {}, signal), [id, date, days, confirmed.value]);
  const past = useLoaded((signal) => load(id, date, days, at, signal), [id, date, days, JSON.stringify(at)]);
  const isPast = at.moment !== undefined || at.version !== undefined;
  const room = present.data?.room;
  const isUnknown = past.error instanceof Problem && past.error.status === 404;
  const shown = isUnknown ? undefined : past.data;
  const version = shown?.version ?? 0;
  const recorded = isPast && shown?.recorded ? showInstant(ownZone, shown.recorded) : '';
  /** @param {number} number */
  const turn = (number) => change({ version: number, moment: undefined });
  return html`
    <h1>${room ? t('past.title', { room: room.name }) : t('menu.past')}</h1>
    <div class="bar">
      <div class="field">
        <label for="past-room">${t('day.room')}</label>
        <select
          id="past-room"
          value=${id ?? ''}
          onChange=${(/** @type {any} */ event) => change({ room: event.target.value, version: undefined })}
        >
          ${room && !rooms.data?.some((other) => other.room === id) && html`<option value=${id}>${room.name}</option>`}
          ${(rooms.data ?? []).map((other) => html`<option value=${other.room}>${other.name}</option>`)}
        </select>
      </div>
      <div class="field">
        <label for="past-date">${t('past.date')}</label>
        <input
          id="past-date"
          type="date"
          value=${date}
          onChange=${(/** @type {any} */ event) => event.target.value && change({ date: event.target.value })}
        />
      </div>
      <div class="field">
        <label for="past-days">${t('past.days')}</label>
        <select
          id="past-days"
          value=${String(days)}
          onChange=${(/** @type {any} */ event) => change({ days: event.target.value })}
        >
          ${DAYS.map((count) => html`<option value=${String(count)}>${t('past.countOfDays', { count })}</option>`)}
        </select>
      </div>
    </div>
    <${Slider} moment=${at.moment ?? shown?.recorded} isPast=${isPast} back=${Number(parameters.back) || 30} />
    <div class="buttons">
      <button type="button" disabled=${version <= 1} onClick=${() => turn(version - 1)}>${t('past.before')}</button>
      <button
        type="button"
        disabled=${!isPast || !present.data || version >= present.data.version}
        onClick=${() => turn(version + 1)}
      >
        ${t('past.after')}
      </button>
      <button type="button" disabled=${!isPast} onClick=${() => change({ version: undefined, moment: undefined })}>
        ${t('past.present')}
      </button>
    </div>
    <p class="quiet-text" role="status">
      ${version > 0 && t('past.version', { version })} ${recorded && t('past.recorded', { when: recorded })}
    </p>
    ${
      isUnknown && !present.error
        ? html`<p>${t('past.notThere')}</p>`
        : html`<${Trouble} error=${present.error ?? past.error} />`
    }
    ${
      room &&
      shown &&
      present.data &&
      html`
        <p class="quiet-text">${t('book.zone', { zone: showZone(room.timeZone) })}</p>
        <div aria-busy=${past.loading}>
          <${Entries} zone=${room.timeZone} entries=${compared(shown, present.data)} />
        </div>
      `
    }
  `;
}

/**
 * What the address asks for: a moment, a version, or neither for the present.
 *
 * @param {Record<string, string>} parameters
 * @returns {{moment?: number, version?: number}}
 */
function momentOf({ moment, version }) {
  if (/^[1-9]\d{0,15}$/.test(version ?? '')) return { version: Number(version) };
  const at = Date.parse(moment ?? '');
  return Number.isNaN(at) || at >= Date.now() ? {} : { moment: at };
}

/**
 * @param {string | undefined} id
 * @param {string} date
 * @param {number} days
 * @param {{moment?: number, version?: number}} at
 * @param {AbortSignal} signal
 */
async function load(id, date, days, at, signal) {
  if (!id) return undefined;
  const room = await roomOf(id);
  const from = instantOf(room.timeZone, date);
  const to = instantOf(room.timeZone, addDays(date, days));
  return { room, ...(await schedulePage(id, { from, to }, at, signal)) };
}
