// My reservations.

import { html } from '../../lib/html.js';
import { t } from '../../lib/words.js';

export default function Mine() {
  return html`<h1>${t('mine.title')}</h1>`;
}
