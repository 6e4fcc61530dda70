// The form of a room: a new one, or changed rules of one.

import { useEffect, useRef, useState } from 'preact/hooks';
import { Outcome, useCommand } from '../../lib/acting.js';
import { announce } from '../../lib/announce.js';
import { query } from '../../lib/api.js';
import { Dialog } from '../../lib/dialog.js';
import { html } from '../../lib/html.js';
import { explain, Problem } from '../../lib/problem.js';
import { showDate } from '../../lib/time.js';
import { t } from '../../lib/words.js';
import { fieldOf, fieldsOf } from '../field.js';
import { DAYS } from './hours.js';
import { check, LIMITS, LISTS, newRoom, patchOf, TEXTS, valuesOf } from './room-values.js';

const Field = fieldsOf('admin');

/** @param {{room: any, close: () => void, done: () => void}} properties */
export function RoomForm({ room, close, done }) {
  const [base, setBase] = useState(room);
  const [values, setValues] = useState(() => valuesOf(room));
  const [wrong, setWrong] = useState(/** @type {Record<string, string>} */ ({}));
  const acting = useCommand();
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));

  const send = async () => {
    const mistakes = check(values);
    setWrong(mistakes);
    if (Object.keys(mistakes).length) return;
    const answer = base
      ? await acting.run('PATCH', `/v1/rooms/${base.room}`, patchOf(values, base), `"${base.revision}"`)
      : await acting.run('POST', '/v1/rooms', newRoom(values));
    if (!answer) return;
    close();
    announce(t(base ? 'admin.roomSaved' : 'admin.roomMade', { room: values.name }));
    await query(`/v1/rooms/${answer.data.room}`, { token: answer.token, wait: 10 }).catch(() => null);
    done();
  };

  const field = fieldOf(acting.error);
  const errors = { ...wrong };
  if (field && field in values) errors[field] = errors[field] ?? explain(acting.error);
  useEffect(() => {
    /** @type {HTMLElement | null | undefined} */ (form.current?.querySelector('[aria-invalid]'))?.focus();
  }, [acting.error, wrong]);
  // Somebody else changed it: the form shows how it is now.
  useEffect(() => {
    if (!(acting.error instanceof Problem) || acting.error.slug !== 'stale' || !base) return;
    query(`/v1/rooms/${base.room}`).then(({ data }) => {
      setBase(data);
      setValues(valuesOf(data));
    });
  }, [acting.error]);

  /** @param {string} name */
  const bound = (name) => ({
    name,
    value: values[name],
    error: errors[name],
    disabled: acting.isBusy,
    onInput: (/** @type {any} */ event) => setValues({ ...values, [name]: event.target.value }),
  });
  /** @param {string} day */
  const boundHours = (day) => ({
    name: day,
    value: values.hours[day],
    error: errors[day],
    disabled: acting.isBusy,
    onInput: (/** @type {any} */ event) =>
      setValues({ ...values, hours: { ...values.hours, [day]: event.target.value } }),
  });
  const isAsked = Boolean(field && errors[field]);
  return html`
    <${Dialog} title=${base ? t('admin.changeRoom', { room: base.name }) : t('admin.newRoom')} close=${close}>
      <form
        ref=${form}
        noValidate
        onSubmit=${(/** @type {SubmitEvent} */ event) => {
          event.preventDefault();
          send();
        }}
      >
        <${Field} label=${t('admin.name')} required maxlength="200" ...${bound('name')} />
        <div class="row">
          <${Field} label=${t('day.kind')} required maxlength="200" ...${bound('kind')} />
          <${Field} label=${t('day.people')} type="number" min="1" required ...${bound('capacity')} />
        </div>
        <${Field} label=${t('admin.timeZone')} required ...${bound('timeZone')} />
        <fieldset class="admin-fields">
          <legend>${t('admin.openingHours')}</legend>
          <label class="check">
            <input
              type="checkbox"
              checked=${values.isAlwaysOpen}
              onChange=${() => setValues({ ...values, isAlwaysOpen: !values.isAlwaysOpen })}
            />
            ${t('admin.alwaysOpen')}
          </label>
          ${
            !values.isAlwaysOpen &&
            html`
              <p class="quiet-text">${t('admin.hoursHelp')}</p>
              ${DAYS.map(
                (day, index) => html`
                  <${Field} key=${day} label=${showDate(`2024-01-0${index + 1}`, { weekday: 'long' })} ...${boundHours(day)} />
                `,
              )}
            `
          }
        </fieldset>
        <fieldset class="admin-fields">
          <legend>${t('admin.limits')}</legend>
          <p class="quiet-text">${t('admin.limitsHelp')}</p>
          <div class="admin-limits">
            ${[...LIMITS, 'ahead-reservations', 'ahead-minutes'].map(
              (name) => html`
                <${Field} key=${name} label=${t(`admin.limit.${name}`)} type="number" min="0" ...${bound(name)} />
              `,
            )}
          </div>
        </fieldset>
        <fieldset class="admin-fields">
          <legend>${t('admin.finding')}</legend>
          ${[...TEXTS, ...LISTS].map(
            (name) => html`<${Field} key=${name} label=${t(`admin.limit.${name}`)} ...${bound(name)} />`,
          )}
        </fieldset>
        <${Outcome} acting=${acting} again=${send} field=${isAsked} />
        <div class="buttons">
          <button class="main" disabled=${acting.isBusy}>${t('book.save')}</button>
          <button type="button" onClick=${close}>${t('shell.cancel')}</button>
        </div>
      </form>
    <//>
  `;
}
