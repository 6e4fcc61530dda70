// A labelled field with its error.

import { html } from '../../lib/html.js';

/** @param {{label: string, name: string, error?: string, [attribute: string]: any}} properties */
export function Field({ label, name, error, ...attributes }) {
  const id = `book-${name}`;
  return html`
    <div class="field">
      <label for=${id}>${label}</label>
      <input
        id=${id}
        name=${name}
        aria-invalid=${error ? 'true' : undefined}
        aria-describedby=${error ? `${id}-error` : undefined}
        ...${attributes}
      />
      ${error && html`<p class="error" id=${`${id}-error`}>${error}</p>`}
    </div>
  `;
}
