// The latest messages of a subscription, and how each fared.

import { announce } from '../../lib/announce.js';
import { change, query } from '../../lib/api.js';
import { Dialog } from '../../lib/dialog.js';
import { html } from '../../lib/html.js';
import { Trouble, useLoaded } from '../../lib/loading.js';
import { ownZone, showInstant } from '../../lib/time.js';
import { t } from '../../lib/words.js';
import { Refusal, useAct } from './act.js';

/** Messages that are shown. */
const MOST = 100;

/** @param {{path: string, close: () => void}} properties */
export function Deliveries({ path, close }) {
  const acting = useAct();
  const loaded = useLoaded(async (signal) => (await query(`${path}/deliveries`, { signal })).data.items, []);
  /** @param {string} id */
  const again = (id) =>
    acting.act(async () => {
      await change('POST', `${path}/deliveries/${encodeURIComponent(id)}/redeliver`);
      announce(t('notifications.sentAgain'));
      loaded.reload();
    });
  return html`
    <${Dialog} title=${t('notifications.deliveries')} close=${close}>
      <${Trouble} error=${loaded.error} />
      <${Refusal} error=${acting.error} />
      ${loaded.data?.length === 0 && html`<p>${t('notifications.noDeliveries')}</p>`}
      <ol class="notifications-deliveries">
        ${(loaded.data ?? []).slice(0, MOST).map(
          (/** @type {any} */ { delivery, type, status, attempts, created, due, answer }) => html`
            <li key=${delivery}>
              <b>${t(`notifications.status.${status}`)}</b> ${type}<br />
              <span class="quiet-text">
                ${showInstant(ownZone, Date.parse(created))}, ${t('notifications.attempts', { count: attempts })}
                ${answer && html` · ${answer}`}
                ${due && html` · ${t('notifications.next', { when: showInstant(ownZone, Date.parse(due)) })}`}
              </span>
              <button type="button" class="quiet" disabled=${acting.isBusy} onClick=${() => again(delivery)}>
                ${t('notifications.sendAgain')}<span class="visually-hidden"> ${type}</span>
              </button>
            </li>
          `,
        )}
      </ol>
      <div class="buttons">
        <button type="button" onClick=${loaded.reload}>${t('notifications.refresh')}</button>
        <button type="button" onClick=${close}>${t('shell.close')}</button>
      </div>
    <//>
  `;
}
