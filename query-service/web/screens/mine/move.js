// Moves a reservation to another room that is free at its time.

import { Outcome, useCommand } from '../../lib/acting.js';
import { Dialog } from '../../lib/dialog.js';
import { html } from '../../lib/html.js';
import { Trouble, useLoaded } from '../../lib/loading.js';
import { available } from '../../lib/rooms.js';
import { showSpan } from '../../lib/time.js';
import { t } from '../../lib/words.js';
import { followed } from './confirmed.js';

/** @param {{reservation: any, room: import('../../lib/rooms.js').Room, close: () => void}} properties */
export function Move({ reservation, room, close }) {
  const acting = useCommand();
  const [from, to] = [Date.parse(reservation.from), Date.parse(reservation.to)];
  const rooms = useLoaded(() => available({ from, to, people: reservation.people }), [reservation.reservation]);
  /** @param {SubmitEvent | undefined} [event] */
  const send = async (event) => {
    event?.preventDefault();
    const select = /** @type {HTMLSelectElement} */ (document.getElementById('mine-room'));
    const path = `/v1/rooms/${reservation.room}/reservations/${reservation.reservation}/move`;
    const answer = await acting.run('POST', path, { toRoom: select.value }, `"${reservation.revision}"`);
    if (!answer) return;
    const name = select.selectedOptions[0]?.textContent ?? '';
    close();
    await followed(answer, reservation, t('mine.moved', { room: name }));
  };
  return html`
    <${Dialog} title=${t('mine.moveTo')} close=${close}>
      <p>${room.name}, ${showSpan(room.timeZone, from, to)}</p>
      <${Trouble} error=${rooms.error} />
      ${rooms.data?.length === 0 && html`<p>${t('mine.noRoom')}</p>`}
      ${
        rooms.data &&
        rooms.data.length > 0 &&
        html`
        <form onSubmit=${send}>
          <div class="field">
            <label for="mine-room">${t('day.room')}</label>
            <select id="mine-room">
              ${rooms.data.map((other) => html`<option value=${other.room}>${other.name}</option>`)}
            </select>
          </div>
          <${Outcome} acting=${acting} again=${() => send()} />
          <div class="buttons">
            <button class="main" disabled=${acting.isBusy}>${t('mine.move')}</button>
            <button type="button" onClick=${close}>${t('shell.cancel')}</button>
          </div>
        </form>
      `
      }
    <//>
  `;
}
