// Asks before a room is retired.

import { Outcome, useCommand } from '../../lib/acting.js';
import { announce } from '../../lib/announce.js';
import { query } from '../../lib/api.js';
import { Dialog } from '../../lib/dialog.js';
import { html } from '../../lib/html.js';
import { t } from '../../lib/words.js';

/** @param {{room: any, close: () => void, done: () => void}} properties */
export function Retire({ room, close, done }) {
  const acting = useCommand();
  const send = async () => {
    const answer = await acting.run('DELETE', `/v1/rooms/${room.room}`, undefined, `"${room.revision}"`);
    if (!answer) return;
    close();
    announce(t('admin.retired', { room: room.name }));
    await query(`/v1/rooms/${room.room}`, { token: answer.token, wait: 10 }).catch(() => null);
    done();
  };
  return html`
    <${Dialog} title=${t('admin.retireTitle', { room: room.name })} close=${close}>
      <p>${t('admin.retireSure')}</p>
      <${Outcome} acting=${acting} again=${send} />
      <div class="buttons">
        <button type="button" class="bad" disabled=${acting.isBusy} onClick=${send}>${t('admin.retire')}</button>
        <button type="button" onClick=${close}>${t('mine.keep')}</button>
      </div>
    <//>
  `;
}
