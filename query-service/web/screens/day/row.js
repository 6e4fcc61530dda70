// One room's day. Its cells are drawn again only when they change.

import { h } from 'preact';
import { useMemo } from 'preact/hooks';
import { html } from '../../lib/html.js';
import { address } from '../../lib/router.js';
import { showTime } from '../../lib/time.js';
import { t } from '../../lib/words.js';
import { screens } from '../index.js';

/**
 * @param {object} properties
 * @param {import('../../lib/rooms.js').Schedule} properties.schedule
 * @param {import('./cells.js').Cell[]} properties.cells
 * @param {{from: number, to: number} | null} properties.chosen
 * @param {string} properties.date
 * @param {string} properties.words The language: texts depend on it.
 */
export function Row({ schedule, cells, chosen, date, words }) {
  const { room, from, to } = schedule;
  /** @param {{from: number, to: number}} span */
  const place = (span) =>
    `left:${((span.from - from) / (to - from)) * 100}%;width:${((span.to - span.from) / (to - from)) * 100}%`;
  // Thousands of cells: elements without a template, and styles as one text.
  const drawn = useMemo(
    () =>
      cells.map((cell, index) =>
        h(
          'div',
          {
            role: 'gridcell',
            tabindex: '-1',
            class: `day-cell ${cell.kind}`,
            style: place(cell),
            'data-index': index,
            'aria-label': labelOf(room, cell),
          },
          textOf(cell),
        ),
      ),
    [cells, words],
  );
  return html`
    <div role="row" class="day-row" data-room=${room.room}>
      <div role="rowheader" class="day-room">
        <${Name} room=${room} date=${date} />
        <span class="day-capacity">${t('day.capacity', { count: room.capacity })}</span>
      </div>
      <div class="day-track">
        ${drawn} ${chosen && html`<div class="day-chosen" aria-hidden="true" style=${place(chosen)}></div>`}
      </div>
    </div>
  `;
}

/** The room's name; a link to its week. @param {{room: import('../../lib/rooms.js').Room, date: string}} properties */
function Name({ room, date }) {
  if (!screens.some(({ name }) => name === 'week')) return html`<b>${room.name}</b>`;
  return html`<a href=${address('week', { room: room.room, date })}>${room.name}</a>`;
}

/** @param {import('./cells.js').Cell} cell */
function textOf({ kind, reservation, reason }) {
  if (kind === 'mine') return reservation?.title ?? t('day.reserved');
  if (kind === 'busy') return t('day.reserved');
  return kind === 'closure' ? reason : undefined;
}

/** A sentence for those who don't see where the cell is. @param {import('../../lib/rooms.js').Room} room @param {import('./cells.js').Cell} cell */
export function labelOf(room, { kind, from, to, reservation, reason }) {
  return t(`day.${kind}`, {
    room: room.name,
    from: showTime(room.timeZone, from),
    to: showTime(room.timeZone, to),
    title: reservation?.title ?? t('day.untitled'),
    user: reservation?.reservedBy ?? '',
    reason: reason ?? '',
  });
}
