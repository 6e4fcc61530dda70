// Starts the page: settings, language and caller first, then the shell with the screen of the address.

import { render } from 'preact';
import { loadConfig } from './lib/config.js';
import { html } from './lib/html.js';
import { Shell } from './lib/shell.js';
import { begin } from './lib/sign-in.js';
import { chooseLanguage, maybe } from './lib/words.js';

const page = /** @type {HTMLElement} */ (document.getElementById('page'));

try {
  await Promise.all([loadConfig(), chooseLanguage()]);
  await begin();
  page.replaceChildren();
  render(html`<${Shell} />`, page);
} catch (error) {
  console.error(error);
  const text = document.createElement('p');
  text.className = 'failure';
  text.setAttribute('role', 'alert');
  text.textContent = maybe('shell.cannotStart') ?? 'The service can’t be reached. Reload to try again.';
  page.replaceChildren(text);
}
