// The form of a new subscription. Administrators may subscribe to a room or a kind of rooms.

import { useState } from 'preact/hooks';
import { announce } from '../../lib/announce.js';
import { change } from '../../lib/api.js';
import { html } from '../../lib/html.js';
import { useLoaded } from '../../lib/loading.js';
import { Problem } from '../../lib/problem.js';
import { roomsOf } from '../../lib/rooms.js';
import { person } from '../../lib/sign-in.js';
import { t } from '../../lib/words.js';
import { kinds } from '../kinds.js';
import { Refusal, useAct } from './act.js';

const EMPTY = { channel: 'webhook', url: '', about: 'mine', room: '', kind: '', remindMinutes: '' };

/** @param {{made: (made: any) => void}} properties */
export function NewSubscription({ made }) {
  const [values, setValues] = useState(EMPTY);
  const acting = useAct();
  const isAdmin = Boolean(person.value?.admin);
  const choices = useLoaded(
    async (signal) =>
      isAdmin ? { rooms: await roomsOf({ signal }), kinds: await kinds(signal) } : { rooms: [], kinds: [] },
    [isAdmin],
  );
  const isMine = values.about === 'mine';
  const isMail = values.channel === 'email' && isMine;
  /** @param {SubmitEvent} event */
  const submitted = (event) => {
    event.preventDefault();
    acting.act(async () => {
      const { data } = await change('POST', '/v1/subscriptions', {
        channel: isMail ? 'email' : 'webhook',
        ...(!isMail && { url: values.url.trim() }),
        ...(values.about === 'room' && { room: values.room || choices.data?.rooms[0]?.room }),
        ...(values.about === 'kind' && { kind: values.kind || choices.data?.kinds[0] }),
        ...(isMine && values.remindMinutes && { remindMinutes: Number(values.remindMinutes) }),
      });
      announce(t('notifications.made'));
      setValues(EMPTY);
      made(data);
    });
  };
  const wrong = acting.error instanceof Problem ? acting.error.field : undefined;
  /** @param {keyof typeof EMPTY} name */
  const bound = (name) => ({
    id: `notifications-${name}`,
    name,
    value: values[name],
    'aria-invalid': wrong === name ? 'true' : undefined,
    'aria-describedby': wrong === name ? 'notifications-refusal' : undefined,
    onInput: (/** @type {any} */ event) => setValues({ ...values, [name]: event.target.value }),
  });
  return html`
    <section aria-labelledby="notifications-new">
      <h2 id="notifications-new">${t('notifications.new')}</h2>
      <form class="notifications-form" onSubmit=${submitted}>
        ${
          isAdmin &&
          html`
            <div class="row">
              <${Select}
                label=${t('notifications.about')}
                options=${['mine', 'room', 'kind'].map((about) => [about, t(`notifications.of.${about}`)])}
                ...${bound('about')}
              />
              ${
                values.about === 'room' &&
                html`<${Select}
                  label=${t('day.room')}
                  options=${(choices.data?.rooms ?? []).map(({ room, name }) => [room, name])}
                  ...${bound('room')}
                />`
              }
              ${
                values.about === 'kind' &&
                html`<${Select}
                  label=${t('day.kind')}
                  options=${(choices.data?.kinds ?? []).map((kind) => [kind, kind])}
                  ...${bound('kind')}
                />`
              }
            </div>
          `
        }
        ${
          isMine &&
          html`<${Select}
            label=${t('notifications.how')}
            options=${['webhook', 'email'].map((channel) => [channel, t(`notifications.channel.${channel}`)])}
            ...${bound('channel')}
          />`
        }
        ${
          isMail
            ? html`<p class="quiet-text">${t('notifications.mailTo')}</p>`
            : html`
                <div class="field">
                  <label for="notifications-url">${t('notifications.url')}</label>
                  <input type="url" required maxlength="2000" placeholder="https://…" ...${bound('url')} />
                </div>
              `
        }
        ${
          isMine &&
          html`
            <div class="field">
              <label for="notifications-remindMinutes">${t('notifications.remind')}</label>
              <input type="number" min="1" max="40320" ...${bound('remindMinutes')} />
            </div>
          `
        }
        <div id="notifications-refusal"><${Refusal} error=${acting.error} /></div>
        <div class="buttons">
          <button class="main" disabled=${acting.isBusy}>${t('notifications.make')}</button>
        </div>
      </form>
    </section>
  `;
}

/** @param {{label: string, options: string[][], id: string, [attribute: string]: any}} properties */
const Select = ({ label, options, id, ...attributes }) => html`
  <div class="field">
    <label for=${id}>${label}</label>
    <select id=${id} ...${attributes}>
      ${options.map(([value, text]) => html`<option value=${value}>${text}</option>`)}
    </select>
  </div>
`;
