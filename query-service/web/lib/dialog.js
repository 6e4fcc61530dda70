// A modal dialog. The browser keeps the focus in it, closes it with Escape, and gives the focus back.

import { useEffect, useRef } from 'preact/hooks';
import { html } from './html.js';
import { t } from './words.js';

let count = 0;

/**
 * @param {object} properties
 * @param {string} properties.title
 * @param {() => void} properties.close
 * @param {any} properties.children
 */
export function Dialog({ title, close, children }) {
  const element = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const id = useRef(`dialog-${++count}`);
  useEffect(() => {
    const opener = /** @type {HTMLElement | null} */ (document.activeElement);
    element.current?.showModal();
    return () => opener?.isConnected && opener.focus();
  }, []);
  return html`
    <dialog ref=${element} aria-labelledby=${id.current} onClose=${close}>
      <header>
        <h2 id=${id.current}>${title}</h2>
        <button type="button" class="quiet" aria-label=${t('shell.close')} onClick=${close}>✕</button>
      </header>
      ${children}
    </dialog>
  `;
}
