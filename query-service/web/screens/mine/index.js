// My reservations, what happened to them, and their calendar.

import { useEffect, useState } from 'preact/hooks';
import { all } from '../../lib/api.js';
import { asked } from '../../lib/booking.js';
import { confirmed, confirming } from '../../lib/confirming.js';
import { html } from '../../lib/html.js';
import { watch } from '../../lib/live.js';
import { Trouble, useLoaded } from '../../lib/loading.js';
import { now } from '../../lib/now.js';
import { roomOf } from '../../lib/rooms.js';
import { change } from '../../lib/router.js';
import { rfc3339 } from '../../lib/time.js';
import { t } from '../../lib/words.js';
import { Calendars } from './calendars.js';
import { Card } from './card.js';
import { Happened } from './happened.js';

/** Days that "past ones" go back. */
const PAST_DAYS = 90;

/** @param {{parameters: Record<string, string>}} properties */
export default function Mine({ parameters }) {
  const withPast = parameters.past === '1';
  const mine = useLoaded((signal) => load(withPast, signal), [withPast, confirmed.value]);
  const [changes, setChanges] = useState(0);
  useEffect(
    () =>
      watch(
        { mine: true },
        () => {
          mine.reload();
          setChanges((last) => last + 1);
        },
        () => mine.reload(),
      ),
    [],
  );
  const confirmingHere = new Set(confirming.value.map(({ reservation }) => reservation));
  return html`
    <h1>${t('mine.title')}</h1>
    <label class="check">
      <input type="checkbox" checked=${withPast} onChange=${() => change({ past: withPast ? '' : '1' })} />
      ${t('mine.past')}
    </label>
    <${Trouble} error=${mine.error} />
    ${mine.data?.length === 0 && html`<p>${t('mine.none')}</p>`}
    <ul class="mine-list" aria-busy=${mine.loading}>
      ${(mine.data ?? []).map(
        ({ reservation, room }) => html`
          <${Card}
            key=${reservation.reservation}
            reservation=${reservation}
            room=${room}
            now=${now.value}
            isConfirming=${confirmingHere.has(String(reservation.reservation))}
            edit=${() => {
              const [from, to] = [Date.parse(reservation.from), Date.parse(reservation.to)];
              asked.value = { room, from, to, reservation };
            }}
          />
        `,
      )}
    </ul>
    <${Happened} changes=${changes} confirmed=${confirmed.value} />
    <${Calendars} />
  `;
}

/** @param {boolean} withPast @param {AbortSignal} signal */
async function load(withPast, signal) {
  const since = Math.floor(Date.now() / 60_000) * 60_000 - (withPast ? PAST_DAYS * 86_400_000 : 0);
  const reservations = await all(`/v1/me/reservations?from=${rfc3339(since)}`, { signal });
  return Promise.all(reservations.map(async (reservation) => ({ reservation, room: await roomOf(reservation.room) })));
}
