// What one looks for. The address keeps it.

import { useEffect, useState } from 'preact/hooks';
import { html } from '../../lib/html.js';
import { useLoaded } from '../../lib/loading.js';
import { change } from '../../lib/router.js';
import { addDays, dateIn } from '../../lib/time.js';
import { t } from '../../lib/words.js';
import { kinds } from '../kinds.js';
import { MOST_DAYS } from './search.js';

/**
 * What the address asks for, or `null` before a first search.
 *
 * @param {Record<string, string>} parameters
 * @param {string} today
 * @returns {import('./search.js').Wanted | null}
 */
export function wantedOf({ people, minutes, date, until, kind, at }, today) {
  if (!minutes) return null;
  const first = dateIn(date) ?? today;
  const last = dateIn(until) ?? first;
  const longest = addDays(first, MOST_DAYS - 1);
  return {
    people: Math.max(1, Math.floor(Number(people)) || 1),
    minutes: Math.max(1, Math.floor(Number(minutes)) || 60),
    date: first,
    // The one in the middle: dates are sorted as texts.
    until: [first, last, longest].sort()[1],
    kind,
    at: /^\d\d:\d\d$/.test(at ?? '') ? at : undefined,
  };
}

/** @param {Record<string, string>} parameters @param {string} today */
const valuesOf = ({ people = '1', minutes = '60', date, until, kind = '', at = '' }, today) => ({
  people,
  minutes,
  date: dateIn(date) ?? today,
  until: dateIn(until) ?? '',
  kind,
  at,
});

/** @param {{parameters: Record<string, string>, today: string, onSearch: () => void}} properties */
export function Form({ parameters, today, onSearch }) {
  const [values, setValues] = useState(() => valuesOf(parameters, today));
  const [isWrong, setWrong] = useState(false);
  const known = useLoaded((signal) => kinds(signal), []);
  useEffect(() => setValues(valuesOf(parameters, today)), [JSON.stringify(parameters)]);
  useEffect(() => setWrong(false), [values]);
  const isDate = Boolean(values.date) && (!values.until || values.until >= values.date);
  /** @param {SubmitEvent} event */
  const submitted = (event) => {
    event.preventDefault();
    if (!isDate) {
      setWrong(true);
      document.getElementById(values.date ? 'find-until' : 'find-date')?.focus();
      return;
    }
    onSearch();
    change(values);
  };
  /** @param {keyof typeof values} name */
  const bound = (name) => ({
    id: `find-${name}`,
    name,
    value: values[name],
    onInput: (/** @type {any} */ event) => setValues({ ...values, [name]: event.target.value }),
  });
  return html`
    <form class="find-form" onSubmit=${submitted}>
      <div class="row">
        <div class="field">
          <label for="find-people">${t('find.people')}</label>
          <input type="number" min="1" required ...${bound('people')} />
        </div>
        <div class="field">
          <label for="find-minutes">${t('find.minutes')}</label>
          <input type="number" min="1" max="44640" step="1" required list="find-lengths" ...${bound('minutes')} />
          <datalist id="find-lengths">
            ${[15, 30, 45, 60, 90, 120, 240, 480].map((minutes) => html`<option value=${minutes}></option>`)}
          </datalist>
        </div>
        <div class="field">
          <label for="find-kind">${t('day.kind')}</label>
          <select ...${bound('kind')}>
            <option value="">${t('day.all')}</option>
            ${(known.data ?? []).map((kind) => html`<option value=${kind}>${kind}</option>`)}
          </select>
        </div>
      </div>
      <div class="row">
        <div class="field">
          <label for="find-date">${t('find.date')}</label>
          <input type="date" required ...${bound('date')} />
        </div>
        <div class="field">
          <label for="find-until">${t('find.until')}</label>
          <input
            type="date"
            aria-invalid=${isWrong ? 'true' : undefined}
            aria-describedby=${isWrong ? 'find-until-error' : undefined}
            ...${bound('until')}
          />
        </div>
        <div class="field">
          <label for="find-at">${t('find.at')}</label>
          <input type="time" ...${bound('at')} />
        </div>
      </div>
      ${isWrong && html`<p class="find-error" id="find-until-error" role="alert">${t('find.order')}</p>`}
      <p class="quiet-text">${t('find.help', { days: MOST_DAYS })}</p>
      <div class="buttons"><button class="main">${t('find.search')}</button></div>
    </form>
  `;
}
