// The way in: a choice of users in development, else a button that leads to the provider.

import { config } from './config.js';
import { html } from './html.js';
import { choose, signIn } from './sign-in.js';
import { t } from './words.js';

const SUGGESTED = ['ann', 'ben', 'cleo'];

export function SignIn() {
  return html`
    <section class="sign-in">
      <h1>${t('signIn.title')}</h1>
      ${
        config.auth === 'oidc'
          ? html`<button type="button" class="main" onClick=${signIn}>${t('signIn.provider')}</button>`
          : html`<${Development} />`
      }
    </section>
  `;
}

function Development() {
  /** @param {SubmitEvent} event */
  const submitted = (event) => {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
    const user = String(form.get('user')).trim();
    if (user) choose({ user, admin: form.has('admin') });
  };
  return html`
    <p>${t('signIn.development')}</p>
    <form onSubmit=${submitted}>
      <label for="user">${t('signIn.user')}</label>
      <input id="user" name="user" list="suggested" required maxlength="200" autocomplete="username" />
      <datalist id="suggested">${SUGGESTED.map((user) => html`<option value=${user}></option>`)}</datalist>
      <label class="check"><input type="checkbox" name="admin" /> ${t('signIn.admin')}</label>
      <button class="main">${t('signIn.enter')}</button>
    </form>
  `;
}
