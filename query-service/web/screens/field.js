// Labelled fields with their errors.

import { html } from '../lib/html.js';
import { Problem } from '../lib/problem.js';

/**
 * The field component of a form. Ids of its fields begin with the form's name.
 *
 * @param {string} form
 */
export function fieldsOf(form) {
  return (/** @type {{label: string, name: string, error?: string, [attribute: string]: any}} */ properties) => {
    const { label, name, error, ...attributes } = properties;
    const id = `${form}-${name}`;
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
  };
}

/**
 * The form's field that a refusal is about. A broken rule names its setting.
 *
 * @param {unknown} error
 * @returns {string | undefined}
 */
export function fieldOf(error) {
  if (!(error instanceof Problem)) return undefined;
  if (error.slug === 'rule') {
    return { capacity: 'people', minMinutes: 'to', maxMinutes: 'to' }[String(error.members.rule)] ?? 'from';
  }
  if (error.slug === 'in-the-past') return 'from';
  return error.field;
}
