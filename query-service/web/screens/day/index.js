// The rooms of one day.

import { html } from '../../lib/html.js';
import { t } from '../../lib/words.js';

/** @param {{parameters: Record<string, string>}} properties */
export default function Day({ parameters }) {
  return html`<h1>${t('day.title', { date: parameters.date ?? '' })}</h1>`;
}
