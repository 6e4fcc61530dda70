// All states of a reservation, with who made each; an earlier one can be restored.

import { Outcome, useCommand } from '../../lib/acting.js';
import { all, query } from '../../lib/api.js';
import { Dialog } from '../../lib/dialog.js';
import { html } from '../../lib/html.js';
import { Trouble, useLoaded } from '../../lib/loading.js';
import { roomOf } from '../../lib/rooms.js';
import { ownZone, showInstant, showSpan } from '../../lib/time.js';
import { t } from '../../lib/words.js';
import { followed } from './confirmed.js';

/** @param {{id: string, close: () => void}} properties */
export function Revisions({ id, close }) {
  const acting = useCommand();
  const loaded = useLoaded((signal) => load(id, signal), [id]);
  const { present, revisions } = loaded.data ?? { present: null, revisions: [] };
  /** @param {any} after */
  const restore = async (after) => {
    const path = `/v1/rooms/${present.room}/reservations/${id}/restore`;
    const answer = await acting.run('POST', path, { revision: after.revision }, `"${present.revision}"`);
    if (!answer) return;
    close();
    await followed(answer, after, t('mine.restored'));
  };
  return html`
    <${Dialog} title=${t('mine.history')} close=${close}>
      <${Trouble} error=${loaded.error} />
      <${Outcome} acting=${acting} again=${loaded.reload} />
      <ol class="mine-revisions">
        ${revisions.map(
          ({ what, time, by, after, room }) => html`
            <li key=${after.revision}>
              <b>${t(`mine.what.${what}`)}</b>${` ${t('mine.by', { user: by })}, `}
              <time datetime=${time}>${showInstant(ownZone, Date.parse(time))}</time>
              <div>${described(after, room)}</div>
              ${
                isRestorable(after, present) &&
                html`<div>
                <button type="button" disabled=${acting.isBusy} onClick=${() => restore(after)}>
                  ${t('mine.restoreTo')}
                </button>
              </div>`
              }
            </li>
          `,
        )}
      </ol>
    <//>
  `;
}

/** @param {any} after @param {import('../../lib/rooms.js').Room} room */
function described({ title, from, to, people }, room) {
  const when = showSpan(room.timeZone, Date.parse(from), Date.parse(to));
  return [title ?? t('day.untitled'), room.name, when, t('mine.people', { count: people })].join(', ');
}

/** @param {string} id @param {AbortSignal} signal */
async function load(id, signal) {
  const [{ data: present }, revisions] = await Promise.all([
    query(`/v1/reservations/${id}`, { signal }),
    all(`/v1/reservations/${id}/revisions`, { signal }),
  ]);
  const named = revisions.map(async (revision) => ({ ...revision, room: await roomOf(revision.after.room) }));
  return { present, revisions: await Promise.all(named) };
}

/** Whether an earlier state differs from the present one and has not passed. @param {any} after @param {any} present */
const isRestorable = (after, present) =>
  after.status === 'live' && after.revision !== present.revision && Date.parse(after.to) > Date.now();
