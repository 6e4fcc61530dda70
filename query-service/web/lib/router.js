// The address after `#` names the screen and its parameters: `#/day?date=2030-01-01`. Reload and links keep them.

import { signal } from '@preact/signals';

/**
 * @typedef {object} Place
 * @property {string} screen
 * @property {Record<string, string>} parameters
 */

/** @param {string} hash @returns {Place} */
function read(hash) {
  const [path = '', query = ''] = hash.replace(/^#?\/?/, '').split('?');
  return { screen: path || 'day', parameters: Object.fromEntries(new URLSearchParams(query)) };
}

/** Where the page is. */
export const place = signal(read(location.hash));

addEventListener('hashchange', () => {
  place.value = read(location.hash);
});

/**
 * The address of a screen. Empty parameters are left out.
 *
 * @param {string} screen
 * @param {Record<string, string | number | undefined | null>} [parameters]
 */
export function address(screen, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return `#/${screen}${query && `?${query}`}`;
}

/**
 * Goes to a screen. With `replace` the way back skips where one was.
 *
 * @param {string} screen
 * @param {Record<string, string | number | undefined | null>} [parameters]
 * @param {{replace?: boolean}} [how]
 */
export function go(screen, parameters = {}, { replace = false } = {}) {
  const hash = address(screen, parameters);
  if (replace) history.replaceState(null, '', hash);
  else history.pushState(null, '', hash);
  place.value = read(hash);
}

/** Changes some parameters of the screen that is shown. @param {Record<string, string | number | undefined | null>} changed */
export function change(changed) {
  go(place.value.screen, { ...place.value.parameters, ...changed }, { replace: true });
}

addEventListener('popstate', () => {
  place.value = read(location.hash);
});
