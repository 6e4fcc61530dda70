// The way in: a button that leads to the provider, a field for a token, or a choice of users in development.

import { useState } from 'preact/hooks';
import { config } from '../../lib/config.js';
import { html } from '../../lib/html.js';
import { choose, signIn, useToken } from '../../lib/sign-in.js';
import { t } from '../../lib/words.js';

const SUGGESTED = ['ann', 'ben', 'cleo'];

export default function SignIn() {
  return html`
    <section class="sign-in">
      <h1>${t('sign-in.title')}</h1>
      ${{
        oidc: () => html`<button type="button" class="main" onClick=${signIn}>${t('sign-in.provider')}</button>`,
        token: () => html`<${Token} />`,
        development: () => html`<${Development} />`,
      }[config.auth]()}
    </section>
  `;
}

function Token() {
  const [isWrong, setWrong] = useState(false);
  /** @param {SubmitEvent} event */
  const submitted = async (event) => {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
    setWrong(!(await useToken(String(form.get('token')).trim())));
  };
  return html`
    <p>${t('sign-in.pasteToken')}</p>
    <form onSubmit=${submitted}>
      <div class="field">
        <label for="token">${t('sign-in.token')}</label>
        <input
          id="token"
          name="token"
          type="password"
          autocomplete="off"
          required
          aria-invalid=${isWrong ? 'true' : undefined}
          aria-describedby=${isWrong ? 'token-error' : undefined}
        />
        ${isWrong && html`<p class="error" id="token-error" role="alert">${t('sign-in.wrongToken')}</p>`}
      </div>
      <button class="main">${t('sign-in.enter')}</button>
    </form>
  `;
}

function Development() {
  /** @param {SubmitEvent} event */
  const submitted = (event) => {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
    const user = String(form.get('user')).trim();
    if (user) choose({ user, admin: form.has('admin'), delegate: form.has('delegate') });
  };
  return html`
    <p>${t('sign-in.development')}</p>
    <form onSubmit=${submitted}>
      <label for="user">${t('sign-in.user')}</label>
      <input id="user" name="user" list="suggested" required maxlength="200" autocomplete="username" />
      <datalist id="suggested">${SUGGESTED.map((user) => html`<option value=${user}></option>`)}</datalist>
      <label class="check"><input type="checkbox" name="admin" /> ${t('sign-in.admin')}</label>
      <label class="check"><input type="checkbox" name="delegate" /> ${t('sign-in.delegate')}</label>
      <button class="main">${t('sign-in.enter')}</button>
    </form>
  `;
}
