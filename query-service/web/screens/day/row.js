// One room's day. Its cells are drawn again only when they change.

import { useLayoutEffect, useRef } from 'preact/hooks';
import { html } from '../../lib/html.js';
import { address } from '../../lib/router.js';
import { showTime } from '../../lib/time.js';
import { t } from '../../lib/words.js';

/**
 * @param {object} properties
 * @param {import('../../lib/rooms.js').Schedule} properties.schedule
 * @param {import('./cells.js').Cell[]} properties.cells
 * @param {{from: number, to: number} | null} properties.chosen
 * @param {string} properties.date
 * @param {string} properties.words The language: texts depend on it.
 */
export function Row({ schedule, cells, chosen, date, words }) {
  const { room } = schedule;
  const track = useRef(/** @type {any} */ (null));
  useLayoutEffect(() => draw(track.current, schedule, cells), [cells, words]);
  return html`
    <div role="row" class="day-row" data-room=${room.room}>
      <div role="rowheader" class="day-room">
        <a href=${address('week', { room: room.room, date })}>${room.name}</a>
        <span class="day-capacity">${t('day.capacity', { count: room.capacity })}</span>
      </div>
      <div class="day-track">
        <div ref=${track}></div>
        ${chosen && html`<div class="day-chosen" aria-hidden="true" style=${placeOf(schedule, chosen)}></div>`}
      </div>
    </div>
  `;
}

/**
 * What cells are copies of, by kind and place. To copy an element is much faster than to give each its style, and rooms of a day
 * have cells at the same places.
 *
 * @type {Map<string, HTMLElement>}
 */
const models = new Map();

/** @param {string} kind @param {string} place */
function modelOf(kind, place) {
  let model = models.get(kind + place);
  if (!model) {
    if (models.size >= 1000) models.clear();
    model = document.createElement('div');
    model.setAttribute('role', 'gridcell');
    model.setAttribute('tabindex', '-1');
    model.className = `day-cell ${kind}`;
    model.style.cssText = place;
    models.set(kind + place, model);
  }
  return model;
}

/**
 * Draws the cells without templates, as a day has thousands. One that is there already becomes the new one in its place, and
 * so keeps the focus.
 *
 * @param {HTMLElement} track
 * @param {import('../../lib/rooms.js').Schedule} schedule
 * @param {import('./cells.js').Cell[]} cells
 */
function draw(track, schedule, cells) {
  const before = /** @type {HTMLElement[]} */ (Array.from(track.children));
  cells.forEach((cell, index) => {
    const model = modelOf(cell.kind, placeOf(schedule, cell));
    let element = before[index];
    if (element) {
      element.className = model.className;
      element.style.cssText = model.style.cssText;
      element.textContent = '';
    } else {
      element = track.appendChild(/** @type {HTMLElement} */ (model.cloneNode()));
    }
    element.setAttribute('aria-label', labelOf(schedule.room, cell));
    const text = textOf(cell);
    if (text) element.textContent = text;
  });
  for (const element of before.slice(cells.length)) element.remove();
}

/** Styles of a span's place in the day. @param {import('../../lib/rooms.js').Schedule} schedule @param {{from: number, to: number}} span */
const placeOf = ({ from, to }, span) =>
  `left:${((span.from - from) / (to - from)) * 100}%;width:${((span.to - span.from) / (to - from)) * 100}%`;

/** @param {import('./cells.js').Cell} cell */
function textOf({ kind, reservation, reason }) {
  if (kind === 'mine') return reservation?.title ?? t('day.reserved');
  if (kind === 'busy') return t('day.reserved');
  return kind === 'closure' ? reason : undefined;
}

/** A sentence for those who don't see where the cell is. @param {import('../../lib/rooms.js').Room} room @param {import('./cells.js').Cell} cell */
function labelOf(room, { kind, from, to, reservation, reason }) {
  return t(`day.${kind}`, {
    room: room.name,
    from: showTime(room.timeZone, from),
    to: showTime(room.timeZone, to),
    title: reservation ? (reservation.title ?? t('day.untitled')) : '',
    user: reservation?.reservedBy ?? '',
    reason: reason ?? '',
  });
}
