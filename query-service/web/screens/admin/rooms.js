// The rooms, with what can be done with each.

import { useState } from 'preact/hooks';
import { confirmed } from '../../lib/confirming.js';
import { html } from '../../lib/html.js';
import { Trouble, useLoaded } from '../../lib/loading.js';
import { roomsOf } from '../../lib/rooms.js';
import { address } from '../../lib/router.js';
import { t } from '../../lib/words.js';
import { Retire } from './retire.js';
import { RoomForm } from './room-form.js';

/** Rooms that are shown at first, and with each "more". */
const SHOWN = 50;

export function Rooms() {
  const [most, setMost] = useState(SHOWN);
  const [text, setText] = useState('');
  /** What a dialog is open for: a room, or a new one. */
  const [open, setOpen] = useState(/** @type {{what: 'form' | 'retire', room: any} | null} */ (null));
  const rooms = useLoaded((signal) => roomsOf({ signal }), [confirmed.value]);
  const wanted = text.trim().toLocaleLowerCase();
  const fitting = (rooms.data ?? []).filter(({ name, kind }) => `${name} ${kind}`.toLocaleLowerCase().includes(wanted));
  const close = () => setOpen(null);
  return html`
    <section aria-labelledby="admin-rooms">
      <h2 id="admin-rooms">${t('admin.part.rooms')}</h2>
      <div class="bar">
        <div class="field">
          <label for="admin-filter">${t('admin.filter')}</label>
          <input
            id="admin-filter"
            type="search"
            value=${text}
            onInput=${(/** @type {any} */ event) => setText(event.target.value)}
          />
        </div>
        <button type="button" class="main" onClick=${() => setOpen({ what: 'form', room: null })}>
          ${t('admin.newRoom')}
        </button>
      </div>
      <${Trouble} error=${rooms.error} />
      <div class="admin-scroll" tabindex="0" role="group" aria-labelledby="admin-rooms" aria-busy=${rooms.loading}>
        <table class="admin-table">
          <thead>
            <tr>
              <th scope="col">${t('day.room')}</th>
              <th scope="col">${t('day.kind')}</th>
              <th scope="col">${t('day.people')}</th>
              <th scope="col">${t('admin.timeZone')}</th>
              <th scope="col"><span class="visually-hidden">${t('admin.actions')}</span></th>
            </tr>
          </thead>
          <tbody>
            ${fitting.slice(0, most).map(
              (room) => html`
                <tr key=${room.room}>
                  <th scope="row"><a href=${address('week', { room: room.room })}>${room.name}</a></th>
                  <td>${room.kind}</td>
                  <td>${room.capacity}</td>
                  <td>${room.timeZone}</td>
                  <td>
                    <div class="buttons">
                      <button type="button" onClick=${() => setOpen({ what: 'form', room })}>
                        ${t('mine.change')}<span class="visually-hidden"> ${room.name}</span>
                      </button>
                      <button type="button" class="bad" onClick=${() => setOpen({ what: 'retire', room })}>
                        ${t('admin.retire')}<span class="visually-hidden"> ${room.name}</span>
                      </button>
                    </div>
                  </td>
                </tr>
              `,
            )}
          </tbody>
        </table>
      </div>
      ${rooms.data && !fitting.length && html`<p>${t('day.noRooms')}</p>`}
      ${
        fitting.length > most &&
        html`<button type="button" onClick=${() => setMost(most + SHOWN)}>${t('shell.more')}</button>`
      }
      ${open?.what === 'form' && html`<${RoomForm} room=${open.room} close=${close} done=${rooms.reload} />`}
      ${open?.what === 'retire' && html`<${Retire} room=${open.room} close=${close} done=${rooms.reload} />`}
    </section>
  `;
}
