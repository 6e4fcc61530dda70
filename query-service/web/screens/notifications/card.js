// One subscription, and what can be done with it.

import { useState } from 'preact/hooks';
import { announce } from '../../lib/announce.js';
import { change } from '../../lib/api.js';
import { html } from '../../lib/html.js';
import { ownZone, showInstant } from '../../lib/time.js';
import { t } from '../../lib/words.js';
import { Refusal, useAct } from './act.js';
import { Deliveries } from './deliveries.js';

/** @param {any} subscription */
function aboutOf({ roomName, kind }) {
  if (roomName) return t('notifications.aboutRoom', { room: roomName });
  return kind ? t('notifications.aboutKind', { kind }) : t('notifications.aboutMine');
}

/** @param {{subscription: any, secret: string, changed: (made?: any) => void}} properties */
export function Card({ subscription, secret, changed }) {
  const [isShown, setShown] = useState(false);
  const [isSure, setSure] = useState(false);
  const acting = useAct();
  const { channel, url, email, enabled, remindMinutes } = subscription;
  const path = `/v1/subscriptions/${subscription.subscription}`;
  const where = url ?? email;
  const test = () =>
    acting.act(async () => {
      await change('POST', `${path}/test`);
      announce(t('notifications.tested'));
    });
  const turn = () =>
    acting.act(async () => {
      await change('PATCH', path, { enabled: !enabled });
      announce(t(enabled ? 'notifications.nowDisabled' : 'notifications.nowEnabled'));
      changed();
    });
  const rotate = () => acting.act(async () => changed((await change('POST', `${path}/rotate-secret`)).data));
  const remove = () =>
    acting.act(async () => {
      await change('DELETE', path);
      announce(t('notifications.deleted'));
      changed();
    });
  const copy = async () => {
    await navigator.clipboard.writeText(secret);
    announce(t('mine.copied'));
  };
  const state = enabled ? t('notifications.enabled') : t(`notifications.because.${subscription.disabledBecause}`);
  const secretId = `secret-${subscription.subscription}`;
  return html`
    <li class="notifications-card">
      <h2>${aboutOf(subscription)}</h2>
      <p>${t(`notifications.channel.${channel}`)}: <b>${where}</b></p>
      <p class="quiet-text">
        <strong>${state}</strong> ·
        ${t('mine.calendarSince', { when: showInstant(ownZone, Date.parse(subscription.created)) })}
        ${remindMinutes && html` · ${t('notifications.reminds', { count: remindMinutes })}`}
      </p>
      ${
        secret &&
        html`
          <div class="bar">
            <div class="field notifications-secret">
              <label for=${secretId}>${t('notifications.secret')}</label>
              <input id=${secretId} readonly value=${secret} />
            </div>
            <button type="button" onClick=${copy}>${t('mine.copy')}</button>
          </div>
        `
      }
      <${Refusal} error=${acting.error} />
      <div class="buttons" role="group" aria-label=${`${aboutOf(subscription)}, ${where}`}>
        <button type="button" disabled=${acting.isBusy} onClick=${test}>${t('notifications.test')}</button>
        <button type="button" onClick=${() => setShown(true)}>${t('notifications.deliveries')}</button>
        <button type="button" disabled=${acting.isBusy} onClick=${turn}>
          ${t(enabled ? 'notifications.disable' : 'notifications.enable')}
        </button>
        ${
          channel === 'webhook' &&
          html`<button type="button" disabled=${acting.isBusy} onClick=${rotate}>${t('notifications.rotate')}</button>`
        }
        ${
          isSure
            ? html`
                <button type="button" class="bad" disabled=${acting.isBusy} onClick=${remove}>
                  ${t('notifications.deleteSure')}
                </button>
                <button type="button" onClick=${() => setSure(false)}>${t('mine.keep')}</button>
              `
            : html`<button type="button" class="bad" onClick=${() => setSure(true)}>${t('notifications.delete')}</button>`
        }
      </div>
      ${isShown && html`<${Deliveries} path=${path} close=${() => setShown(false)} />`}
    </li>
  `;
}
