// The screens. Each has a folder of its name with `index.js`, whose default export shows it, and `style.css`.

/**
 * @typedef {object} Known
 * @property {string} name The folder, and the first part of the address.
 * @property {boolean} [menu] Whether the menu leads to it.
 * @property {boolean} [admin] Whether the menu offers it to administrators only.
 */

/** In the menu's order; the first one is shown at the start. @type {Known[]} */
export const screens = [
  { name: 'day', menu: true },
  { name: 'mine', menu: true },
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

/** The component of a screen, with its style in use. @param {string} name */
export async function load(name) {
  const [module] = await Promise.all([import(`./${name}/index.js`), style(name)]);
  return module.default;
}
