// Who uses the page. An OpenID provider says who it is; without one, a token that is pasted. In development one chooses a user.

import { signal } from '@preact/signals';
import { config } from './config.js';
import { store, stored } from './storage.js';

/**
 * @typedef {object} Person
 * @property {string} user
 * @property {boolean} admin
 * @property {boolean} [delegate] Whether they book in others' names.
 */

/** Who is signed in. @type {import('@preact/signals').Signal<Person | null>} */
export const person = signal(/** @type {Person | null} */ (null));

/** The provider's half, loaded where there is one. @type {typeof import('./oidc.js') | undefined} */
let oidc;

/** The token that was pasted. A reload forgets it. */
let pasted = '';

const CHOSEN = 'development-user';

/** Finds out who is signed in. At a provider it may leave the page, and come back. */
export async function begin() {
  if (config.auth === 'oidc') {
    oidc = await import('./oidc.js');
    if (await oidc.begin()) await recognise();
  } else if (config.auth === 'development') {
    person.value = JSON.parse(stored(CHOSEN) ?? 'null');
  }
}

/** Asks the service whom it sees. */
async function recognise() {
  const answer = await fetch('/v1/me', { headers: await credentials(), cache: 'no-store' });
  if (!answer.ok) throw new Error(`/v1/me: ${answer.status}`);
  person.value = await answer.json();
}

/** Signs in at the provider; leaves the page. */
export const signIn = () => oidc?.signIn();

/** Signs in with this token. @param {string} token @returns {Promise<boolean>} Whether the service takes it. */
export async function useToken(token) {
  pasted = token;
  await recognise().catch(() => {
    pasted = '';
  });
  return Boolean(pasted);
}

/** Signs in as this person, in development. @param {Person} chosen */
export function choose(chosen) {
  store(CHOSEN, JSON.stringify(chosen));
  person.value = chosen;
}

/** Signs out, at the provider too. */
export async function signOut() {
  if (oidc) await oidc.signOut();
  else store(CHOSEN, null);
  pasted = '';
  person.value = null;
}

/** The headers that tell who sends a request. @returns {Promise<Record<string, string>>} */
export async function credentials() {
  if (config.auth !== 'development') {
    const token = oidc ? await oidc.accessToken() : pasted;
    return token ? { Authorization: `Bearer ${token}` } : {};
  }
  if (!person.value) return {};
  const { user, admin, delegate } = person.value;
  const roles = [admin && 'admin', delegate && 'delegate'].filter(Boolean).join();
  // Headers hold bytes: those of UTF-8.
  return { 'X-User': String.fromCharCode(...new TextEncoder().encode(user)), 'X-Roles': roles };
}

/** After a refusal: whether there is a new token to try again with. Without one, nobody is signed in any more. */
export async function renewed() {
  if (oidc && (await oidc.renew())) return true;
  if (config.auth !== 'development') person.value = null;
  return false;
}
