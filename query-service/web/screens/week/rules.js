// The rules of a room, in words.

import { html } from '../../lib/html.js';
import { ruleText } from '../../lib/problem.js';
import { t } from '../../lib/words.js';

/** @param {{room: any}} properties */
export function Rules({ room }) {
  const limits = /** @type {const} */ (['slotMinutes', 'minMinutes', 'maxMinutes', 'maxDaysAhead']);
  const texts = [
    t('day.capacity', { count: room.capacity }),
    room.kind,
    [room.building, room.floor].filter(Boolean).join(', '),
    (room.attributes ?? []).join(', '),
    ...limits.filter((rule) => room[rule] !== undefined).map((rule) => ruleText(rule, room[rule])),
    room.bufferBefore && t('week.bufferBefore', { minutes: room.bufferBefore }),
    room.bufferAfter && t('week.bufferAfter', { minutes: room.bufferAfter }),
    room.bookableBy && t('week.bookableBy', { roles: room.bookableBy.join(', ') }),
    room.retired && t('week.retired'),
  ];
  return html`
    <ul class="week-rules" aria-label=${t('week.rules')}>
      ${texts.filter(Boolean).map((text) => html`<li>${text}</li>`)}
    </ul>
  `;
}
