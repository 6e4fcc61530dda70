// Texts in the reader's language. A language is one file in `words/`, loaded when it is used.

import { signal } from '@preact/signals';
import { store, stored } from './storage.js';

/** The languages, each by its own name. */
export const LANGUAGES = { en: 'English', ko: '한국어', pt: 'Português' };

/** The language in use. */
export const language = signal('en');

/** How numbers and times are written: as the browser prefers, if that is in the language. */
export const locale = signal('en');

/** @type {Record<string, any>} */
let words = {};
let plurals = new Intl.PluralRules('en');

/**
 * Texts that were asked for, in pieces: every other one is the name of a value. A day of many rooms asks thousands of
 * times. Each change of the texts begins anew.
 *
 * @type {Map<string, string[] | Record<string, string[]> | undefined>}
 */
let pieces = new Map();

/** @param {Record<string, any>} changed */
function setWords(changed) {
  words = changed;
  pieces = new Map();
}

/** Folders of screens whose texts are in use. @type {Set<string>} */
const further = new Set();

/** The texts of a screen's own folder. @param {string} screen @param {string} code */
const wordsIn = async (screen, code) => [screen, (await import(`../screens/${screen}/words/${code}.js`)).default];

/** @param {string} code */
async function use(code) {
  const [{ default: common }, ...own] = await Promise.all([
    import(`../words/${code}.js`),
    ...[...further].map((screen) => wordsIn(screen, code)),
  ]);
  setWords({ ...common, ...Object.fromEntries(own) });
  plurals = new Intl.PluralRules(code);
  document.documentElement.lang = code;
  locale.value = navigator.languages.find((preferred) => preferred.startsWith(code)) ?? code;
  language.value = code;
}

/** Uses the chosen language, else the first one that the browser prefers. */
export async function chooseLanguage() {
  const preferred = [stored('language'), ...navigator.languages].map((code) => code?.slice(0, 2).toLowerCase());
  await use(preferred.find((code) => code && code in LANGUAGES) ?? 'en');
}

/** Changes the language. @param {string} code */
export async function changeLanguage(code) {
  await use(code);
  store('language', code);
}

/** Loads the texts of a screen's own folder, here and with each later language. @param {string} screen */
export async function useWordsOf(screen) {
  further.add(screen);
  const code = language.value;
  const [, own] = await wordsIn(screen, code);
  if (code === language.value) setWords({ ...words, [screen]: own });
}

/** @param {string} key */
function piecesOf(key) {
  const text = key.split('.').reduce((part, name) => part?.[name], /** @type {any} */ (words));
  const split = (/** @type {string} */ whole) => whole.split(/\{(\w+)\}/);
  if (!text || typeof text === 'string') return text && split(text);
  return Object.fromEntries(Object.entries(text).map(([form, whole]) => [form, split(whole)]));
}

/**
 * The text of a key such as `day.title`, with its `{values}`. A text that depends on a number has a form for each
 * plural, chosen by `count`. `undefined` if there is no such text.
 *
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 * @returns {string | undefined}
 */
export function maybe(key, values = {}) {
  language.value; // Whoever shows a text is drawn again in another language.
  if (!pieces.has(key)) pieces.set(key, piecesOf(key));
  const known = pieces.get(key);
  const text = known && !Array.isArray(known) ? (known[plurals.select(Number(values.count))] ?? known.other) : known;
  if (!text) return undefined;
  let [whole] = text;
  for (let at = 1; at < text.length; at += 2) whole += (values[text[at]] ?? `{${text[at]}}`) + text[at + 1];
  return whole;
}

/**
 * As [`maybe`]; the key itself where a text is missing.
 *
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 * @returns {string}
 */
export const t = (key, values) => maybe(key, values) ?? key;
