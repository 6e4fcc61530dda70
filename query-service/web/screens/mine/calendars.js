// Secret addresses at which other programs read my reservations.

import { useState } from 'preact/hooks';
import { announce } from '../../lib/announce.js';
import { change, query } from '../../lib/api.js';
import { html } from '../../lib/html.js';
import { Trouble, useLoaded } from '../../lib/loading.js';
import { ownZone, showInstant } from '../../lib/time.js';
import { t } from '../../lib/words.js';

export function Calendars() {
  const loaded = useLoaded(async (signal) => (await query('/v1/me/calendars', { signal })).data.items, []);
  const [made, setMade] = useState('');
  const [error, setError] = useState(/** @type {unknown} */ (null));
  /** @param {() => Promise<void>} act */
  const acted = async (act) => {
    setError(null);
    try {
      await act();
      loaded.reload();
    } catch (failure) {
      setError(failure);
    }
  };
  const make = () =>
    acted(async () => {
      const { data } = await change('POST', '/v1/me/calendars');
      setMade(location.origin + data.address);
    });
  /** @param {string} id */
  const remove = (id) =>
    acted(async () => {
      await change('DELETE', `/v1/me/calendars/${id}`);
      setMade('');
    });
  const copy = async () => {
    await navigator.clipboard.writeText(made);
    announce(t('mine.copied'));
  };
  return html`
    <section>
      <h2>${t('mine.calendar')}</h2>
      <p class="quiet-text">${t('mine.calendarHelp')}</p>
      <${Trouble} error=${error ?? loaded.error} />
      <ul>
        ${(loaded.data ?? []).map(
          (/** @type {any} */ { calendar, room, created }) => html`
            <li key=${calendar}>
              ${`${t(room ? 'mine.calendarOfRoom' : 'mine.calendarOfMine')}, `}
              ${t('mine.calendarSince', { when: showInstant(ownZone, Date.parse(created)) })}
              <button type="button" class="quiet bad" onClick=${() => remove(calendar)}>${t('mine.calendarDelete')}</button>
            </li>
          `,
        )}
      </ul>
      <div class="bar">
        <button type="button" onClick=${make}>${t('mine.calendarMake')}</button>
        ${
          made &&
          html`
          <input class="mine-address" readonly aria-label=${t('mine.calendar')} value=${made} />
          <button type="button" onClick=${copy}>${t('mine.copy')}</button>
        `
        }
      </div>
    </section>
  `;
}
