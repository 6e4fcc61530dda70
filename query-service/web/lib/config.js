// The settings of the page, as the service gives them.

/**
 * @typedef {object} Config
 * @property {string} commands The command service's origin.
 * @property {'development' | 'token' | 'oidc'} auth How people sign in.
 * @property {string} [issuer] The OpenID provider.
 * @property {string} [clientId] The page's id at the provider.
 * @property {string} [scope] What the page asks the provider for.
 */

/** @type {Config} */
export let config = { commands: '', auth: 'development' };

/** Reads the settings. */
export async function loadConfig() {
  const answer = await fetch('/config.json');
  if (!answer.ok) throw new Error(`/config.json: ${answer.status}`);
  config = await answer.json();
}
