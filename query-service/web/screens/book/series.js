// A reservation that repeats: its rule, and a preview of what doesn't fit.

import { useState } from 'preact/hooks';
import { all, command, newKey } from '../../lib/api.js';
import { html } from '../../lib/html.js';
import { explain, Problem } from '../../lib/problem.js';
import { person } from '../../lib/sign-in.js';
import { dateOf, instantOf, minutesOf, rfc3339, showSpan, weekdayOf } from '../../lib/time.js';
import { maybe, t } from '../../lib/words.js';
import { fieldsOf } from '../field.js';

const Field = fieldsOf('book');

const WEEKDAYS = ['MO', 'TU', 'WE', 'TH', 'FR', 'SA', 'SU'];
const RULES = ['DAILY', 'WEEKLY', 'MONTHLY'];

/**
 * The recurrence (RFC 5545) that the fields mean.
 *
 * @param {import('./values.js').Values} values
 * @param {number} from
 * @param {string} zone
 */
function ruleOf({ repeat, times }, from, zone) {
  const date = dateOf(zone, from);
  const part = { WEEKLY: `;BYDAY=${WEEKDAYS[weekdayOf(date)]}`, MONTHLY: `;BYMONTHDAY=${Number(date.slice(8))}` };
  return `FREQ=${repeat}${part[/** @type {'WEEKLY'} */ (repeat)] ?? ''};COUNT=${times}`;
}

/**
 * What is asked of the service.
 *
 * @param {import('./values.js').Values} values
 * @param {{from: number, to: number}} span
 * @param {string} zone
 * @param {any} stay
 */
export const seriesOf = (values, span, zone, stay) => ({
  ...stay,
  recurrence: ruleOf(values, span.from, zone),
  onConflict: values.skip ? 'skip' : 'refuse',
});

/**
 * A change of all reservations of a series that have not begun: its times are those of the first of them. By the clock,
 * that one moves as far as the one in the form.
 *
 * @param {Record<string, any>} patch
 * @param {any} reservation The one in the form.
 * @param {string} zone
 */
export async function ofAll(patch, reservation, zone) {
  if (!patch.from && !patch.to) return patch;
  const { user } = person.value ?? { user: '' };
  const whose = reservation.reservedBy === user ? 'me' : `users/${encodeURIComponent(reservation.reservedBy)}`;
  const now = Date.now();
  const ahead = await all(`/v1/${whose}/reservations?from=${rfc3339(Math.floor(now / 60_000) * 60_000)}`);
  const isOfIt = (/** @type {any} */ { series, room, from }) =>
    series === reservation.series && room === reservation.room && Date.parse(from) > now;
  const first = ahead.filter(isOfIt).sort((one, other) => Date.parse(one.from) - Date.parse(other.from))[0];
  const shifted = (/** @type {'from' | 'to'} */ name) => {
    const [old, present] = [Date.parse(reservation[name]), Date.parse(patch[name] ?? reservation[name])];
    const days = Date.parse(dateOf(zone, present)) - Date.parse(dateOf(zone, old));
    const minutes = days / 60_000 + minutesOf(zone, present) - minutesOf(zone, old);
    const of = Date.parse(first[name]);
    return rfc3339(instantOf(zone, dateOf(zone, of), minutesOf(zone, of) + minutes));
  };
  return first ? { ...patch, from: shifted('from'), to: shifted('to') } : patch;
}

/**
 * @param {object} properties
 * @param {import('./values.js').Values} properties.values
 * @param {(name: string) => any} properties.bound
 * @param {(changed: object) => void} properties.set
 * @param {import('../../lib/rooms.js').Room} properties.room
 * @param {unknown} properties.error The refusal of the whole series.
 * @param {() => any} properties.asked The series, or null where a field is wrong.
 */
export function Series({ values, bound, set, room, error, asked }) {
  const [preview, setPreview] = useState(/** @type {any} */ (null));
  const [failed, setFailed] = useState(/** @type {unknown} */ (null));
  const look = async () => {
    const series = asked();
    if (!series) return;
    setFailed(null);
    try {
      const body = { ...series, onConflict: 'skip', dryRun: true };
      const { data } = await command('POST', `/v1/rooms/${room.room}/series`, body, { key: newKey() });
      setPreview({ fit: data.occurrences, misfits: data.skipped });
    } catch (failure) {
      const misfits = failure instanceof Problem && failure.members.misfits;
      if (misfits) setPreview({ fit: [], misfits });
      else setFailed(failure);
    }
  };
  const refused = error instanceof Problem ? error.members.misfits : undefined;
  return html`
    <div class="row">
      <div class="field">
        <label for="book-repeat">${t('book.repeat')}</label>
        <select
          id="book-repeat"
          value=${values.repeat}
          onChange=${(/** @type {any} */ event) => {
            set({ repeat: event.target.value });
            setPreview(null);
          }}
        >
          <option value="">${t('book.once')}</option>
          ${RULES.map((rule) => html`<option value=${rule}>${t(`book.rules.${rule}`)}</option>`)}
        </select>
      </div>
      ${values.repeat && html`<${Field} label=${t('book.times')} type="number" min="2" max="400" ...${bound('times')} />`}
    </div>
    ${
      values.repeat &&
      html`
      <label class="check">
        <input
          type="checkbox"
          checked=${values.skip}
          onChange=${(/** @type {any} */ event) => set({ skip: event.target.checked })}
        />
        ${t('book.skip')}
      </label>
      <div><button type="button" onClick=${look}>${t('book.preview')}</button></div>
      ${failed && html`<p class="trouble" role="alert">${explain(failed)}</p>`}
      ${
        (preview || refused) &&
        html`<${Fit} fit=${preview?.fit} misfits=${refused ?? preview.misfits} zone=${room.timeZone} />`
      }
    `
    }
  `;
}

/** What fits and what does not. @param {{fit?: any[], misfits: any[], zone: string}} properties */
export function Fit({ fit, misfits, zone }) {
  /** @param {any} occurrence */
  const when = ({ from, to }) => showSpan(zone, Date.parse(from), Date.parse(to));
  /** @param {any} misfit */
  const why = ({ why: reason, rule, limit }) =>
    reason === 'rule' ? (maybe(`rule.${rule}`, { limit, count: limit }) ?? rule) : t(`book.why.${reason}`);
  return html`
    <div role="status">
      ${fit && html`<p>${t('book.fit', { count: fit.length })}</p>`}
      ${
        misfits.length > 0 &&
        html`
        <p id="book-misfits">${t('book.misfits', { count: misfits.length })}</p>
        <ul class="book-misfits" aria-labelledby="book-misfits">
          ${misfits.map((misfit) => html`<li>${`${when(misfit)}: ${why(misfit)}`}</li>`)}
        </ul>
      `
      }
    </div>
  `;
}
