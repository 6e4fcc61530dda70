// The screens. Each has a folder of its name with `index.js`, whose default export shows it, and `style.css`.

import { useWordsOf } from '../lib/words.js';

/**
 * @typedef {object} Known
 * @property {string} name The folder, and the first part of the address.
 * @property {boolean} [menu] Whether the menu leads to it.
 * @property {boolean} [admin] Whether the menu offers it to administrators only.
 * @property {boolean} [words] Whether its texts are in its own folder.
 */

/** In the menu's order; the first one is shown at the start. @type {Known[]} */
export const screens = [
  { name: 'day', menu: true },
  { name: 'find', menu: true, words: true },
  { name: 'mine', menu: true },
  { name: 'notifications', menu: true, words: true },
  { name: 'statistics', menu: true, words: true },
  { name: 'past', menu: true, words: true },
  { name: 'week', words: true },
  { name: 'admin', menu: true, admin: true, words: true },
  { name: 'operation', menu: true, admin: true, words: true },
];

/** @param {string} name A folder. @returns {Promise<void>} When its style is in use. */
export function style(name) {
  const href = new URL(`./${name}/style.css`, import.meta.url).href;
  if ([...document.styleSheets].some((sheet) => sheet.href === href)) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const link = document.createElement('link');
    Object.assign(link, { rel: 'stylesheet', href, onload: () => resolve(), onerror: reject });
    document.head.append(link);
  });
}

/** The component of a screen, with its style and texts in use. @param {string} name */
export async function load(name) {
  const hasWords = screens.some((screen) => screen.name === name && screen.words);
  const [module] = await Promise.all([import(`./${name}/index.js`), style(name), hasWords && useWordsOf(name)]);
  return module.default;
}
