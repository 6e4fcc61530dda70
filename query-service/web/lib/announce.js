// Messages that a screen reader speaks and that stay in view for some seconds.

import { signal } from '@preact/signals';
import { html } from './html.js';

const message = signal('');
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** Says something without taking the focus. @param {string} text */
export function announce(text) {
  message.value = text;
  clearTimeout(timer);
  timer = setTimeout(() => {
    message.value = '';
  }, 8000);
}

/** The place of the messages. */
export const Announcements = () =>
  html`<div class="announcements" role="status" aria-live="polite">${message.value && html`<p>${message.value}</p>`}</div>`;
