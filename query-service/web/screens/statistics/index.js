// The rooms and hours that are reserved most, in a period.

import { all, query } from '../../lib/api.js';
import { html } from '../../lib/html.js';
import { Trouble, useLoaded } from '../../lib/loading.js';
import { now } from '../../lib/now.js';
import { addDays, dateIn, dateOf, instantOf, ownZone, rfc3339, showDate } from '../../lib/time.js';
import { t } from '../../lib/words.js';
import { Busiest } from './busiest.js';
import { Choice } from './choice.js';
import { Popular } from './popular.js';

/** Most days of a period. */
const MOST_DAYS = 366;
/** Most rooms of the first table. */
const MOST_ROOMS = 100;
/** Most days of a table by date. */
const MOST_DATES = 32;

/** @param {{parameters: Record<string, string>}} properties */
export default function Statistics({ parameters }) {
  const period = periodOf(parameters, dateOf(ownZone, now.value));
  const { from, until, kind, by, measure } = period;
  const range = rangeOf(from, until, kind);
  const popular = useLoaded(
    async (signal) => {
      const path = `/v1/statistics/popular-rooms?${range}&limit=${MOST_ROOMS}`;
      return (await query(path, { signal })).data.items;
    },
    [range],
  );
  const lastDate = addDays(from, MOST_DATES - 1);
  const shownUntil = by === 'date' && until > lastDate ? lastDate : until;
  const busiest = useLoaded(
    (signal) => {
      // The services' defaults are not sent.
      const more = [by !== 'weekday' && `by=${by}`, measure !== 'minutes' && `measure=${measure}`].filter(Boolean);
      const path = `/v1/statistics/busiest-times?${[rangeOf(from, shownUntil, kind), ...more].join('&')}`;
      return all(path, { signal });
    },
    [range, by, measure],
  );
  const days = { from: showDate(from, SHORT), until: showDate(until, SHORT) };
  return html`
    <h1>${t('statistics.title', days)}</h1>
    <${Choice} period=${period} />
    <section aria-labelledby="statistics-popular" aria-busy=${popular.loading}>
      <h2 id="statistics-popular">${t('statistics.popular')}</h2>
      <${Trouble} error=${popular.error} />
      ${popular.data && html`<${Popular} rooms=${popular.data} name=${`${from}-${until}`} />`}
    </section>
    <section aria-labelledby="statistics-busiest" aria-busy=${busiest.loading}>
      <h2 id="statistics-busiest">${t('statistics.busiest')}</h2>
      <p class="quiet-text">
        ${t('statistics.zones')}
        ${shownUntil !== until && html` ${t('statistics.datesUpTo', { until: showDate(shownUntil, SHORT) })}`}
      </p>
      <${Trouble} error=${busiest.error} />
      ${
        busiest.data &&
        html`<${Busiest} hours=${busiest.data} by=${by} measure=${measure} name=${`${from}-${shownUntil}`} />`
      }
    </section>
  `;
}

/** @type {Intl.DateTimeFormatOptions} */
const SHORT = { day: 'numeric', month: 'short', year: 'numeric' };

/**
 * @typedef {object} Period
 * @property {string} from The first date.
 * @property {string} until The last one.
 * @property {string} kind
 * @property {'weekday' | 'date'} by
 * @property {'minutes' | 'reservations' | 'people'} measure
 */

/** What the address asks for: else the last thirty days. @param {Record<string, string>} parameters @param {string} today @returns {Period} */
function periodOf({ from, until, kind = '', by, measure }, today) {
  const last = dateIn(until) ?? today;
  const first = dateIn(from) ?? addDays(last, -29);
  const longest = addDays(first, MOST_DAYS - 2);
  return {
    from: first,
    // The one in the middle: dates are sorted as texts.
    until: [first, last, longest].sort()[1],
    kind,
    by: by === 'date' ? 'date' : 'weekday',
    measure: measure === 'reservations' || measure === 'people' ? measure : 'minutes',
  };
}

/** @param {string} from @param {string} until @param {string} kind */
function rangeOf(from, until, kind) {
  const [first, end] = [instantOf(ownZone, from), instantOf(ownZone, addDays(until, 1))];
  const parameters = new URLSearchParams({ from: rfc3339(first), to: rfc3339(end) });
  if (kind) parameters.set('kind', kind);
  return parameters.toString();
}
