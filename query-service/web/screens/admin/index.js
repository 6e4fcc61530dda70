// What administrators look after: rooms with their rules, and closures.

import { html } from '../../lib/html.js';
import { address } from '../../lib/router.js';
import { person } from '../../lib/sign-in.js';
import { t } from '../../lib/words.js';
import { Closures } from './closures.js';
import { Rooms } from './rooms.js';

/** @type {Record<string, any>} */
const PARTS = { rooms: Rooms, closures: Closures };

/** @param {{parameters: Record<string, string>}} properties */
export default function Admin({ parameters }) {
  if (!person.value?.admin) {
    return html`
      <h1>${t('menu.admin')}</h1>
      <p>${t('admin.only')}</p>
    `;
  }
  const part = parameters.part in PARTS ? parameters.part : 'rooms';
  return html`
    <h1>${t('menu.admin')}</h1>
    <nav class="admin-parts" aria-label=${t('menu.admin')}>
      ${Object.keys(PARTS).map(
        (name) => html`
          <a href=${address('admin', { part: name })} aria-current=${name === part ? 'page' : undefined}>
            ${t(`admin.part.${name}`)}
          </a>
        `,
      )}
    </nav>
    <${PARTS[part]} parameters=${parameters} />
  `;
}
