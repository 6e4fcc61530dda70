// Asks before a reservation is cancelled, or a running one ended.

import { useState } from 'preact/hooks';
import { Outcome, useCommand } from '../../lib/acting.js';
import { Dialog } from '../../lib/dialog.js';
import { html } from '../../lib/html.js';
import { showSpan } from '../../lib/time.js';
import { t } from '../../lib/words.js';
import { followed } from './confirmed.js';

/** What of a series is cancelled. */
const EXTENTS = /** @type {const} */ (['one', 'following', 'all']);

/**
 * The address of what is cancelled.
 *
 * @param {any} reservation
 * @param {typeof EXTENTS[number]} extent
 */
function pathOf({ room, reservation, series }, extent) {
  if (extent === 'one') return `/v1/rooms/${room}/reservations/${reservation}`;
  const all = `/v1/rooms/${room}/series/${series}`;
  return extent === 'all' ? all : `${all}/following/${reservation}`;
}

/** @param {{reservation: any, room: import('../../lib/rooms.js').Room, isRunning: boolean, close: () => void}} properties */
export function Cancel({ reservation, room, isRunning, close }) {
  const acting = useCommand();
  const [extent, setExtent] = useState(/** @type {typeof EXTENTS[number]} */ ('one'));
  const send = async () => {
    const tag = extent === 'one' ? `"${reservation.revision}"` : undefined;
    const answer = await acting.run('DELETE', pathOf(reservation, extent), undefined, tag);
    if (!answer) return;
    close();
    await followed(answer, reservation, t(isRunning ? 'mine.ended' : 'mine.cancelled'));
  };
  const when = showSpan(room.timeZone, Date.parse(reservation.from), Date.parse(reservation.to));
  const title = reservation.title ?? t('day.untitled');
  return html`
    <${Dialog} title=${t(isRunning ? 'mine.end' : 'mine.cancel')} close=${close}>
      <p>${t(isRunning ? 'mine.sureEnd' : 'mine.sureCancel', { title, when })}</p>
      ${
        reservation.series &&
        !isRunning &&
        html`
        <fieldset>
          <legend>${t('mine.ofSeries')}</legend>
          ${EXTENTS.map(
            (name) => html`
              <label class="check">
                <input type="radio" name="extent" checked=${extent === name} onChange=${() => setExtent(name)} />
                ${t(`mine.extent.${name}`)}
              </label>
            `,
          )}
        </fieldset>
      `
      }
      <${Outcome} acting=${acting} again=${send} />
      <div class="buttons">
        <button type="button" class="bad" disabled=${acting.isBusy} onClick=${send}>
          ${t(isRunning ? 'mine.end' : 'mine.cancel')}
        </button>
        <button type="button" onClick=${close}>${t('mine.keep')}</button>
      </div>
    <//>
  `;
}
