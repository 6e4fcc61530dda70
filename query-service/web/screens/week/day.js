// One day of a week: its entries in order, as high as they are long where there is room.

import { book } from '../../lib/booking.js';
import { html } from '../../lib/html.js';
import { dateOf, dayOf, showDate, showTime } from '../../lib/time.js';
import { t } from '../../lib/words.js';
import { stepOf } from '../day/cells.js';
import { spanAt } from './entries.js';

/** Most hours that the height of closed and past time shows. */
const MOST_HOURS = 1;

/** @typedef {import('../day/cells.js').Cell} Entry */

/**
 * @param {object} properties
 * @param {import('../../lib/rooms.js').Room} properties.room
 * @param {string} properties.date
 * @param {Entry[]} properties.entries
 * @param {number} properties.now
 */
export function WeekDay({ room, date, entries, now }) {
  const isToday = dateOf(room.timeZone, now) === date;
  const day = dayOf(room.timeZone, date);
  return html`
    <section class=${isToday ? 'week-day today' : 'week-day'} aria-labelledby=${`week-${date}`}>
      <h2 id=${`week-${date}`}>
        ${showDate(date, { weekday: 'short', day: 'numeric', month: 'short' })}
        ${isToday && html` <small>${t('day.today')}</small>`}
      </h2>
      <ul>
        ${entries.map((entry) => html`<${Item} key=${entry.kind + entry.from} room=${room} day=${day} entry=${entry} />`)}
      </ul>
    </section>
  `;
}

/** @param {{room: import('../../lib/rooms.js').Room, day: {from: number, to: number}, entry: Entry}} properties */
function Item({ room, day, entry }) {
  const { kind, from, to, reservation } = entry;
  const hours = (to - from) / 3_600_000;
  const shown = kind === 'closed' || kind === 'past' ? Math.min(hours, MOST_HOURS) : hours;
  const isAllDay = from <= day.from && day.to <= to;
  const times = isAllDay ? t('week.allDay') : `${showTime(room.timeZone, from)} – ${showTime(room.timeZone, to)}`;
  const content = html`<span class="week-time">${times}</span> ${textOf(entry)}`;
  /** @param {MouseEvent} event */
  const chosen = (event) => {
    const button = /** @type {HTMLElement} */ (event.currentTarget);
    // A key clicks at no place: the free time's beginning.
    const part = event.detail === 0 ? 0 : event.offsetY / button.offsetHeight;
    book({ room, ...spanAt(entry, room, stepOf(room), part) });
  };
  const open = () => {
    const span = { from: Date.parse(reservation?.from ?? ''), to: Date.parse(reservation?.to ?? '') };
    book({ room, ...span, reservation });
  };
  const action = { free: chosen, mine: open }[/** @type {string} */ (kind)];
  return html`
    <li class=${`week-entry ${kind}`} style=${{ '--hours': String(shown) }}>
      ${action ? html`<button type="button" onClick=${action}>${content}</button>` : html`<div>${content}</div>`}
    </li>
  `;
}

/** @param {Entry} entry */
function textOf({ kind, reservation, reason }) {
  if (kind === 'mine') {
    const title = reservation?.title ?? t('day.untitled');
    return reservation?.reservedBy ? `${title} (${reservation.reservedBy})` : title;
  }
  if (kind === 'closure') return t('week.closure', { reason: reason ?? '' });
  return t(`week.${kind}`);
}
