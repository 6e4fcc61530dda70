// Asks before a reservation is cancelled, or a running one ended.

import { useState } from 'preact/hooks';
import { Outcome, useCommand } from '../../lib/acting.js';
import { Dialog } from '../../lib/dialog.js';
import { html } from '../../lib/html.js';
import { showSpan } from '../../lib/time.js';
import { t } from '../../lib/words.js';
import { ChooseExtent, pathOf, tagOf } from '../series-extent.js';
import { followed } from './confirmed.js';

/** @param {{reservation: any, room: import('../../lib/rooms.js').Room, isRunning: boolean, close: () => void}} properties */
export function Cancel({ reservation, room, isRunning, close }) {
  const acting = useCommand();
  const [extent, setExtent] = useState(/** @type {import('../series-extent.js').Extent} */ ('one'));
  const send = async () => {
    const answer = await acting.run('DELETE', pathOf(reservation, extent), undefined, tagOf(reservation, extent));
    if (!answer) return;
    close();
    await followed(answer, reservation, t(isRunning ? 'mine.ended' : 'mine.cancelled'));
  };
  const when = showSpan(room.timeZone, Date.parse(reservation.from), Date.parse(reservation.to));
  const title = reservation.title ?? t('day.untitled');
  return html`
    <${Dialog} title=${t(isRunning ? 'mine.end' : 'mine.cancel')} close=${close}>
      <p>${t(isRunning ? 'mine.sureEnd' : 'mine.sureCancel', { title, when })}</p>
      ${reservation.series && !isRunning && html`<${ChooseExtent} extent=${extent} set=${setExtent} />`}
      <${Outcome} acting=${acting} again=${send} />
      <div class="buttons">
        <button type="button" class="bad" disabled=${acting.isBusy} onClick=${send}>
          ${t(isRunning ? 'mine.end' : 'mine.cancel')}
        </button>
        <button type="button" onClick=${close}>${t('mine.keep')}</button>
      </div>
    <//>
  `;
}
