// A table as a file of comma-separated values (RFC 4180).

import { html } from '../../lib/html.js';
import { t } from '../../lib/words.js';

/**
 * A value of a row. A text that spreadsheets would take for a formula gets an apostrophe before it.
 *
 * @param {string | number} value
 */
function field(value) {
  if (typeof value === 'number') return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n']/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** @param {string[]} columns @param {(string | number)[][]} rows */
export const csvOf = (columns, rows) => [columns, ...rows].map((row) => `${row.map(field).join(',')}\r\n`).join('');

/** @param {{name: string, columns: string[], rows: (string | number)[][]}} properties */
export function Download({ name, columns, rows }) {
  const download = () => {
    // The mark tells spreadsheets that it is UTF-8.
    const file = new Blob(['\uFEFF', csvOf(columns, rows)], { type: 'text/csv;charset=utf-8' });
    const link = document.createElement('a');
    link.href = URL.createObjectURL(file);
    link.download = `${name}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };
  return html`<p><button type="button" onClick=${download}>${t('statistics.download')}</button></p>`;
}
