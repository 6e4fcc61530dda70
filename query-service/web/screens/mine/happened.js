// What I did, and what others did to my reservations: newest first, page by page.

import { useState } from 'preact/hooks';
import { query } from '../../lib/api.js';
import { html } from '../../lib/html.js';
import { Trouble, useLoaded } from '../../lib/loading.js';
import { roomOf } from '../../lib/rooms.js';
import { ownZone, showInstant, showSpan } from '../../lib/time.js';
import { t } from '../../lib/words.js';
import { Revisions } from './revisions.js';

/** Entries of a page. */
const PAGE = 20;

/** @param {{changes: number, confirmed: object}} properties What may have added entries. */
export function Happened({ changes, confirmed }) {
  const [pages, setPages] = useState(1);
  const [shown, setShown] = useState(/** @type {string | null} */ (null));
  const loaded = useLoaded((signal) => load(pages, signal), [pages, changes, confirmed]);
  return html`
    <section>
      <h2>${t('mine.did')}</h2>
      <${Trouble} error=${loaded.error} />
      ${loaded.data?.entries.length === 0 && html`<p>${t('mine.nothing')}</p>`}
      <ol class="mine-happened">
        ${loaded.data?.entries.map(
          (entry) => html`
            <li key=${entry.room.room + entry.version}>
              <time datetime=${entry.time}>${showInstant(ownZone, Date.parse(entry.time))}</time>
              <span>
                <b>${t(`mine.what.${entry.what}`)}</b>${entry.by && ` ${t('mine.by', { user: entry.by })}`}
                ${`: ${described(entry)}`}
              </span>
              <button
                type="button"
                class="quiet"
                aria-label=${`${t('mine.history')}: ${entry.title ?? t('day.untitled')}`}
                onClick=${() => setShown(entry.reservation)}
              >
                ${t('mine.history')}
              </button>
            </li>
          `,
        )}
      </ol>
      ${
        loaded.data?.next &&
        html`<button type="button" onClick=${() => setPages(pages + 1)}>${t('mine.older')}</button>`
      }
      ${shown && html`<${Revisions} id=${shown} close=${() => setShown(null)} />`}
    </section>
  `;
}

/** @param {any} entry */
const described = ({ title, room, from, to }) =>
  [title ?? t('day.untitled'), room.name, showSpan(room.timeZone, Date.parse(from), Date.parse(to))].join(', ');

/** @param {number} pages @param {AbortSignal} signal */
async function load(pages, signal) {
  /** @type {any[]} */
  const entries = [];
  let next = '';
  for (let page = 0; page < pages; page += 1) {
    const cursor = next && `&cursor=${encodeURIComponent(next)}`;
    const { data } = await query(`/v1/me/history?limit=${PAGE}${cursor}`, { signal });
    entries.push(...data.items);
    next = data.next ?? '';
    if (!next) break;
  }
  const named = entries.map(async (entry) => ({ ...entry, room: await roomOf(entry.room) }));
  return { entries: await Promise.all(named), next };
}
