// The screens. Each has a folder of its name with `index.js`, whose default export shows it, and `style.css`.

import { useWordsOf } from '../lib/words.js';

/**
 * @typedef {object} Known
 * @property {string} name The folder, and the first part of the address.
 * @property {boolean} [menu] Whether the menu leads to it.
 * @property {boolean} [admin] Whether the menu offers it to administrators only.
 * @property {string[]} [words] Folders whose texts it uses, beside those of all screens.
 */

/** In the menu's order; the first one is shown at the start. @type {Known[]} */
export const screens = [
  { name: 'day', menu: true },
  { name: 'find', menu: true, words: ['find', 'book'] },
  { name: 'mine', menu: true, words: ['mine', 'book'] },
  { name: 'notifications', menu: true, words: ['notifications', 'mine'] },
  { name: 'statistics', menu: true, words: ['statistics'] },
  { name: 'past', menu: true, words: ['past', 'book'] },
  { name: 'week', words: ['week', 'book'] },
  { name: 'admin', menu: true, admin: true, words: ['admin', 'mine', 'book'] },
  { name: 'operation', menu: true, admin: true, words: ['operation', 'mine'] },
];

/** What is shown over any screen, or in its place. @type {Known[]} */
const others = [
  { name: 'book', words: ['book'] },
  { name: 'sign-in', words: ['sign-in'] },
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

/** The component of a folder, with its style and texts in use. @param {string} name */
export async function load(name) {
  const words = [...screens, ...others].find((known) => known.name === name)?.words ?? [];
  const [module] = await Promise.all([import(`./${name}/index.js`), style(name), ...words.map(useWordsOf)]);
  return module.default;
}
