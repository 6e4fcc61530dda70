// What one is told of, and where: subscriptions, and the deliveries of each.

import { useState } from 'preact/hooks';
import { query } from '../../lib/api.js';
import { html } from '../../lib/html.js';
import { Trouble, useLoaded } from '../../lib/loading.js';
import { Problem } from '../../lib/problem.js';
import { roomOf } from '../../lib/rooms.js';
import { address } from '../../lib/router.js';
import { t } from '../../lib/words.js';
import { Card } from './card.js';
import { NewSubscription } from './new.js';

export default function Notifications() {
  const loaded = useLoaded(load, []);
  /** The secret of a subscription, which is shown once. */
  const [secret, setSecret] = useState(/** @type {{subscription: string, secret: string} | null} */ (null));
  const isNone = loaded.error instanceof Problem && loaded.error.status === 404;
  /** @param {any} made */
  const keep = (made) => {
    if (made?.secret) setSecret({ subscription: made.subscription, secret: made.secret });
    loaded.reload();
  };
  if (isNone) {
    return html`
      <h1>${t('notifications.title')}</h1>
      <p>${t('notifications.notHere')}</p>
    `;
  }
  return html`
    <h1>${t('notifications.title')}</h1>
    <p class="quiet-text">
      ${t('notifications.calendars')} <a href=${address('mine')}>${t('menu.mine')}</a>
    </p>
    <${Trouble} error=${loaded.error} />
    <ul class="notifications-list" aria-busy=${loaded.loading}>
      ${(loaded.data ?? []).map(
        (/** @type {any} */ subscription) => html`
          <${Card}
            key=${subscription.subscription}
            subscription=${subscription}
            secret=${secret && secret.subscription === subscription.subscription ? secret.secret : ''}
            changed=${keep}
          />
        `,
      )}
    </ul>
    ${loaded.data?.length === 0 && html`<p>${t('notifications.none')}</p>`}
    <${NewSubscription} made=${keep} />
  `;
}

/** @param {AbortSignal} signal */
async function load(signal) {
  const { data } = await query('/v1/subscriptions', { signal });
  const named = data.items.map(async (/** @type {any} */ subscription) => {
    if (!subscription.room) return subscription;
    return { ...subscription, roomName: (await roomOf(subscription.room)).name };
  });
  return Promise.all(named);
}
