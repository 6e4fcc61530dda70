// One room's week: what is reserved, free and closed on each of its seven days.

import { useEffect } from 'preact/hooks';
import { announce } from '../../lib/announce.js';
import { query } from '../../lib/api.js';
import { confirmed, confirming } from '../../lib/confirming.js';
import { html } from '../../lib/html.js';
import { watch } from '../../lib/live.js';
import { Trouble, useLoaded } from '../../lib/loading.js';
import { now } from '../../lib/now.js';
import { roomsOf, scheduleOf } from '../../lib/rooms.js';
import { address, change } from '../../lib/router.js';
import {
  addDays,
  dateIn,
  dateOf,
  dayOf,
  differsFromOwn,
  ownZone,
  showDate,
  showZone,
  weekdayOf,
} from '../../lib/time.js';
import { t } from '../../lib/words.js';
import { WeekDay } from './day.js';
import { entriesOf } from './entries.js';
import { Rules } from './rules.js';

/** @param {{parameters: Record<string, string>}} properties */
export default function Week({ parameters }) {
  const rooms = useLoaded((signal) => roomsOf({ signal }), []);
  const id = parameters.room || rooms.data?.[0]?.room;
  const date = dateIn(parameters.date) ?? dateOf(ownZone, now.value);
  const monday = addDays(date, -weekdayOf(date));
  const loaded = useLoaded((signal) => load(id, monday, signal), [id, monday, confirmed.value]);
  const schedule = loaded.data?.room.room === id ? loaded.data : null;
  const room = schedule?.room;
  const watched = room?.room;
  useEffect(() => {
    if (!watched) return undefined;
    const changed = (/** @type {import('../../lib/live.js').Change} */ { type }) => {
      loaded.reload();
      if (type === 'busy-changed') announce(t('week.changed'));
    };
    return watch({ rooms: [watched] }, changed, loaded.reload);
  }, [watched]);

  const minute = Math.floor(now.value / 60_000) * 60_000;
  const dates = Array.from({ length: 7 }, (_, index) => addDays(monday, index));
  return html`
    <h1>${room ? t('week.title', { room: room.name, date: showDate(monday) }) : t('menu.week')}</h1>
    <div class="bar">
      <div class="field">
        <label for="week-room">${t('day.room')}</label>
        <select
          id="week-room"
          value=${id ?? ''}
          onChange=${(/** @type {any} */ event) => change({ room: event.target.value })}
        >
          ${choices(rooms.data ?? [], room).map((other) => html`<option value=${other.room}>${other.name}</option>`)}
        </select>
      </div>
      <div class="buttons">
        <button type="button" aria-label=${t('week.previous')} onClick=${() => change({ date: addDays(monday, -7) })}>
          ‹
        </button>
        <button type="button" onClick=${() => change({ date: undefined })}>${t('week.this')}</button>
        <button type="button" aria-label=${t('week.next')} onClick=${() => change({ date: addDays(monday, 7) })}>
          ›
        </button>
      </div>
      <div class="field">
        <label for="week-date">${t('day.date')}</label>
        <input
          id="week-date"
          type="date"
          value=${date}
          onChange=${(/** @type {any} */ event) => event.target.value && change({ date: event.target.value })}
        />
      </div>
    </div>
    <${Trouble} error=${loaded.error ?? rooms.error} />
    ${
      room &&
      html`
        <p class="quiet-text">
          ${t('book.zone', { zone: showZone(room.timeZone) })}
          ${differsFromOwn(room.timeZone, minute) && html` ${t('week.own', { zone: showZone(ownZone) })}`}
        </p>
        <${Rules} room=${room} />
      `
    }
    <div class="week-days" aria-busy=${loaded.loading}>
      ${
        schedule &&
        dates.map((of) => {
          const day = { ...schedule, ...dayOf(schedule.room.timeZone, of) };
          const entries = entriesOf(day, of, minute, confirming.value);
          return html`<${WeekDay} key=${of} room=${schedule.room} date=${of} entries=${entries} now=${minute} />`;
        })
      }
    </div>
    ${
      room &&
      html`<p>
        <a href=${address('day', { date })}>${t('week.allRooms')}</a> ·${' '}
        <a href=${address('past', { room: room.room, date: monday, days: 7 })}>${t('menu.past')}</a>
      </p>`
    }
  `;
}

/**
 * @param {string | undefined} id
 * @param {string} monday
 * @param {AbortSignal} signal
 */
async function load(id, monday, signal) {
  if (!id) return undefined;
  const { data: room } = await query(`/v1/rooms/${encodeURIComponent(id)}`, { signal });
  return scheduleOf(room, monday, { days: 7, signal });
}

/**
 * The rooms to choose from. A retired one is among them while it is shown.
 *
 * @param {import('../../lib/rooms.js').Room[]} rooms
 * @param {import('../../lib/rooms.js').Room | undefined} shown
 */
const choices = (rooms, shown) => (shown && !rooms.some(({ room }) => room === shown.room) ? [shown, ...rooms] : rooms);
