// Sign-in by OpenID Connect: authorization code with PKCE. Tokens stay in memory; a reload asks the provider again.

import { config } from './config.js';

/** What is kept while one is at the provider. It is of no use to others: the code needs the verifier once. */
const ON_THE_WAY = 'oidc-on-the-way';
/** Set after a silent try that failed, so that a reload does not try for ever. */
const NOT_SILENTLY = 'oidc-not-silently';
/** Seconds before its end in which a token is renewed. */
const EARLY = 30;

/** @type {{authorization_endpoint: string, token_endpoint: string, end_session_endpoint?: string, issuer: string,
 *   revocation_endpoint?: string, authorization_response_iss_parameter_supported?: boolean} | undefined} */
let provider;
/** @type {{access: string, refresh?: string, id?: string, ends: number} | null} */
let tokens = null;
/** @type {Promise<boolean> | null} */
let renewing = null;

const redirect = () => `${location.origin}/`;

/** @param {Uint8Array} bytes */
const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');

const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

async function discover() {
  if (provider) return provider;
  const issuer = String(config.issuer);
  const answer = await fetch(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
  if (!answer.ok) throw new Error(`the provider answered ${answer.status}`);
  const found = await answer.json();
  if (found.issuer !== issuer) throw new Error('the provider has another issuer');
  provider = found;
  return found;
}

/** Takes the provider's answer, or asks it silently. @returns {Promise<boolean>} Whether somebody is signed in. */
export async function begin() {
  const answer = new URLSearchParams(location.search);
  if (answer.has('state')) return returned(answer);
  if (sessionStorage.getItem(NOT_SILENTLY)) return false;
  await leave('none');
  return false;
}

/** Goes to the provider. */
export const signIn = () => leave();

/** @param {'none'} [prompt] */
async function leave(prompt) {
  const { authorization_endpoint: endpoint } = await discover();
  const [state, nonce, verifier] = [random(), random(), random()];
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier));
  sessionStorage.setItem(ON_THE_WAY, JSON.stringify({ state, nonce, verifier, hash: location.hash }));
  const url = new URL(endpoint);
  const parameters = {
    response_type: 'code',
    client_id: String(config.clientId),
    redirect_uri: redirect(),
    scope: config.scope ?? 'openid',
    state,
    nonce,
    code_challenge: base64url(new Uint8Array(digest)),
    code_challenge_method: 'S256',
    ...(prompt && { prompt }),
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  location.assign(url);
  // The page is left: nothing after this may run.
  await new Promise(() => {});
}

/** @param {URLSearchParams} answer */
async function returned(answer) {
  const kept = JSON.parse(sessionStorage.getItem(ON_THE_WAY) ?? 'null');
  sessionStorage.removeItem(ON_THE_WAY);
  // The code leaves the address before anything else may read it.
  history.replaceState(null, '', `/${kept?.hash ?? ''}`);
  dispatchEvent(new PopStateEvent('popstate'));
  if (!kept || kept.state !== answer.get('state')) throw new Error('the sign-in was not begun here');
  const { issuer, authorization_response_iss_parameter_supported: sendsIssuer } = await discover();
  if (sendsIssuer && answer.get('iss') !== issuer) throw new Error('another provider answered');
  if (answer.has('error')) {
    sessionStorage.setItem(NOT_SILENTLY, 'true');
    return false;
  }
  const redeemed = await redeem({
    grant_type: 'authorization_code',
    code: String(answer.get('code')),
    redirect_uri: redirect(),
    code_verifier: kept.verifier,
  });
  const claims = tokens?.id && JSON.parse(atob(tokens.id.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')));
  if (!redeemed || claims?.nonce !== kept.nonce) {
    tokens = null;
    throw new Error('the provider’s tokens are for another sign-in');
  }
  sessionStorage.removeItem(NOT_SILENTLY);
  return true;
}

/** @param {Record<string, string>} grant @returns {Promise<boolean>} */
async function redeem(grant) {
  const { token_endpoint: endpoint } = await discover();
  const body = new URLSearchParams({ ...grant, client_id: String(config.clientId) });
  const answer = await fetch(endpoint, { method: 'POST', body, credentials: 'omit' });
  if (!answer.ok) return false;
  const { access_token: access, refresh_token: refresh, id_token: id, expires_in: seconds } = await answer.json();
  const ends = Date.now() + (Number(seconds ?? 60) - EARLY) * 1000;
  tokens = { access, refresh: refresh ?? tokens?.refresh, id: id ?? tokens?.id, ends };
  return true;
}

/** A token that has not ended. */
export async function accessToken() {
  if (tokens && Date.now() >= tokens.ends) await renew();
  return tokens?.access;
}

/** Gets new tokens. A refresh token is used once, so requests at the same time share one renewal. */
export function renew() {
  renewing ??= (async () => {
    try {
      const refresh = tokens?.refresh;
      const renewed = refresh ? await redeem({ grant_type: 'refresh_token', refresh_token: refresh }) : false;
      if (!renewed) tokens = null;
      return renewed;
    } finally {
      renewing = null;
    }
  })();
  return renewing;
}

/** Ends the session here and at the provider; leaves the page where the provider has an address for that. */
export async function signOut() {
  const { end_session_endpoint: end, revocation_endpoint: revocation } = await discover();
  const { refresh, id } = tokens ?? {};
  tokens = null;
  sessionStorage.setItem(NOT_SILENTLY, 'true');
  if (revocation && refresh) {
    const body = new URLSearchParams({ token: refresh, client_id: String(config.clientId) });
    await fetch(revocation, { method: 'POST', body, credentials: 'omit' }).catch(() => {});
  }
  if (!end) return;
  const url = new URL(end);
  url.searchParams.set('client_id', String(config.clientId));
  url.searchParams.set('post_logout_redirect_uri', redirect());
  if (id) url.searchParams.set('id_token_hint', id);
  location.assign(url);
}
