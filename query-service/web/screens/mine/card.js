// One of my reservations, and what I can do with it.

import { useState } from 'preact/hooks';
import { html } from '../../lib/html.js';
import { differsFromOwn, ownZone, showSpan, showZone } from '../../lib/time.js';
import { t } from '../../lib/words.js';
import { Cancel } from './cancel.js';
import { Move } from './move.js';
import { Revisions } from './revisions.js';

/**
 * @param {object} properties
 * @param {any} properties.reservation
 * @param {import('../../lib/rooms.js').Room} properties.room
 * @param {number} properties.now
 * @param {boolean} properties.isConfirming
 * @param {() => void} properties.edit
 */
export function Card({ reservation, room, now, isConfirming, edit }) {
  const [open, setOpen] = useState(/** @type {'cancel' | 'move' | 'history' | null} */ (null));
  const close = () => setOpen(null);
  const [from, to] = [Date.parse(reservation.from), Date.parse(reservation.to)];
  const isRunning = from <= now && now < to;
  const isOver = to <= now;
  const title = reservation.title ?? t('day.untitled');
  return html`
    <li class="mine-card">
      <h2>${title}</h2>
      <p>
        <b>${room.name}</b>${`, ${showSpan(room.timeZone, from, to)}`}
        ${
          differsFromOwn(room.timeZone, from) &&
          html` <span class="quiet-text">
          (${showZone(room.timeZone)}; ${t('book.own', { when: showSpan(ownZone, from, to) })})
        </span>`
        }
      </p>
      <p class="quiet-text">
        ${t('mine.people', { count: reservation.people })}
        ${reservation.reservedFor && html` · ${reservation.reservedFor}`}
        ${reservation.bookedBy && html` · ${t('mine.bookedBy', { user: reservation.bookedBy })}`}
        ${isRunning && html` · <strong>${t('mine.running')}</strong>`}
        ${isConfirming && html` · <strong>${t('book.confirming')}</strong>`}
      </p>
      <div class="buttons" role="group" aria-label=${title}>
        ${
          !isOver &&
          html`
          <button type="button" disabled=${isConfirming} onClick=${edit}>${t('mine.change')}</button>
          ${
            !isRunning &&
            html`<button type="button" disabled=${isConfirming} onClick=${() => setOpen('move')}>${t('mine.move')}</button>`
          }
          <button type="button" class="bad" disabled=${isConfirming} onClick=${() => setOpen('cancel')}>
            ${t(isRunning ? 'mine.end' : 'mine.cancel')}
          </button>
        `
        }
        <button type="button" onClick=${() => setOpen('history')}>${t('mine.history')}</button>
      </div>
      ${
        open === 'cancel' &&
        html`<${Cancel} reservation=${reservation} room=${room} isRunning=${isRunning} close=${close} />`
      }
      ${open === 'move' && html`<${Move} reservation=${reservation} room=${room} close=${close} />`}
      ${open === 'history' && html`<${Revisions} id=${reservation.reservation} close=${close} />`}
    </li>
  `;
}
