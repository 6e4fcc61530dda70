// The entries of a schedule of the past, by day.

import { html } from '../../lib/html.js';
import { dateOf, showDate, showSpan } from '../../lib/time.js';
import { t } from '../../lib/words.js';

/** @param {{zone: string, entries: import('./compared.js').Entry[]}} properties */
export function Entries({ zone, entries }) {
  if (!entries.some(({ state }) => state !== 'later')) {
    return html`<p>${t('past.empty')}</p><${Days} zone=${zone} entries=${entries} />`;
  }
  return html`<${Days} zone=${zone} entries=${entries} />`;
}

/** @param {{zone: string, entries: import('./compared.js').Entry[]}} properties */
function Days({ zone, entries }) {
  /** @type {Map<string, import('./compared.js').Entry[]>} */
  const days = new Map();
  for (const entry of entries) {
    const date = dateOf(zone, Date.parse(entry.past.from));
    days.set(date, [...(days.get(date) ?? []), entry]);
  }
  return [...days].map(
    ([date, of]) => html`
      <section key=${date} aria-labelledby=${`past-${date}`}>
        <h2 id=${`past-${date}`}>${showDate(date)}</h2>
        <ul class="past-entries">
          ${of.map((entry) => html`<${Item} zone=${zone} entry=${entry} />`)}
        </ul>
      </section>
    `,
  );
}

/** @param {{zone: string, entry: import('./compared.js').Entry}} properties */
function Item({ zone, entry: { state, isClosure, past, now } }) {
  return html`
    <li class=${`past-entry ${state}`}>
      <span>
        ${span(zone, past)}: ${textOf(past, isClosure)}
        ${now && html`<br /><span class="quiet-text">${t('past.now')} ${span(zone, now)}: ${textOf(now, isClosure)}</span>`}
      </span>
      ${state !== 'same' && html`<strong>${t(`past.${state}`)}</strong>`}
    </li>
  `;
}

/** @param {string} zone @param {{from: string, to: string}} item */
const span = (zone, { from, to }) => showSpan(zone, Date.parse(from), Date.parse(to));

/** @param {any} item @param {boolean} isClosure */
function textOf({ reservation, title, reservedBy, people, reason }, isClosure) {
  if (isClosure) return t('past.closed', { reason: reason ?? '' });
  if (!reservation) return t('day.reserved');
  return [title ?? t('day.untitled'), reservedBy, t('day.capacity', { count: people })].filter(Boolean).join(', ');
}
