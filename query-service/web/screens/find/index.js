// Finds a room: how many people, how long, on which days.

import { useState } from 'preact/hooks';
import { confirmed } from '../../lib/confirming.js';
import { html } from '../../lib/html.js';
import { Trouble, useLoaded } from '../../lib/loading.js';
import { now } from '../../lib/now.js';
import { dateOf, ownZone } from '../../lib/time.js';
import { t } from '../../lib/words.js';
import { Form, wantedOf } from './form.js';
import { Offers } from './offers.js';
import { nearby, search } from './search.js';

/** Rooms that are shown at first, and with each "more". */
const SHOWN = 10;

/** @param {{parameters: Record<string, string>}} properties */
export default function Find({ parameters }) {
  const today = dateOf(ownZone, now.value);
  const wanted = wantedOf(parameters, today);
  const [most, setMost] = useState(SHOWN);
  const asked = JSON.stringify(wanted);
  const loaded = useLoaded(
    async (signal) => {
      if (!wanted) return undefined;
      const result = await search(wanted, most, signal);
      return { ...result, asked, groups: result.found.length ? [] : await nearby(wanted, signal) };
    },
    [asked, most, confirmed.value],
  );
  const result = loaded.data?.asked === asked ? loaded.data : undefined;
  const people = wanted?.people ?? 1;
  const text = wanted ? heading(result, loaded.loading) : '';
  return html`
    <h1>${t('find.title')}</h1>
    <${Form} parameters=${parameters} today=${today} onSearch=${() => setMost(SHOWN)} />
    <${Trouble} error=${loaded.error} />
    <section class="find-result" aria-busy=${loaded.loading} aria-label=${t('find.result')}>
      <div role="status">${text && html`<h2>${text}</h2>`}</div>
      ${result && html`<${Offers} found=${result.found} people=${people} />`}
      ${result?.groups.map(
        ({ why, found }) => html`
          <h3 key=${why}>${t(`find.${why}`)}</h3>
          <${Offers} found=${found} people=${people} />
        `,
      )}
      ${
        result &&
        result.found.length > 0 &&
        !result.isWhole &&
        html`
        <button type="button" onClick=${() => setMost(most + SHOWN)}>${t('shell.more')}</button>
      `
      }
    </section>
  `;
}

/**
 * @param {{found: any[], groups: any[], isWhole: boolean} | undefined} result
 * @param {boolean} isLoading
 */
function heading(result, isLoading) {
  if (!result) return isLoading ? t('find.searching') : '';
  if (result.found.length) return t(result.isWhole ? 'find.found' : 'find.foundSome', { count: result.found.length });
  return t(result.groups.length ? 'find.nothingBut' : 'find.nothing');
}
