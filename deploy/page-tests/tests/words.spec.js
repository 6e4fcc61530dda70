// The texts of screens that keep theirs in their own folder.

import { readdir, readFile } from 'node:fs/promises';
import { expect, test } from '@playwright/test';

const screens = new URL('../../../query-service/web/screens/', import.meta.url);
const common = new URL('../../../query-service/web/words/', import.meta.url);

/** The texts of a file, which is a module of the page. */
const wordsIn = async (file) => {
  const code = encodeURIComponent(await readFile(file, 'utf8'));
  return (await import(`data:text/javascript,${code}`)).default;
};

const keys = (words, prefix = '') =>
  Object.entries(words).flatMap(([name, text]) =>
    typeof text === 'object' && !('other' in text) ? keys(text, `${prefix}${name}.`) : [`${prefix}${name}`],
  );
/** The values that a text has a place for. */
const places = (text) => [...new Set(JSON.stringify(text).match(/\{\w+\}/g))].sort();

test('each of them has the same texts in every language, and a title in the menu', async () => {
  const languages = (await readdir(common)).sort();
  let found = 0;
  for (const { name } of (await readdir(screens, { withFileTypes: true })).filter((entry) => entry.isDirectory())) {
    const folder = new URL(`${name}/words/`, screens);
    const files = await readdir(folder).catch(() => null);
    if (!files) continue;
    found += 1;
    expect(files.sort()).toEqual(languages);
    const [first, ...others] = await Promise.all(languages.map((file) => wordsIn(new URL(file, folder))));
    for (const words of others) {
      expect(keys(words).sort(), name).toEqual(keys(first).sort());
      for (const key of keys(first)) {
        const at = (/** @type {any} */ all) => key.split('.').reduce((part, step) => part[step], all);
        // A form of "one" may say the number as a word; the others name it.
        expect(places(at(words)), `${name}.${key}`).toEqual(places(at(first)));
      }
    }
    for (const file of languages) {
      expect((await wordsIn(new URL(file, common))).menu).toHaveProperty(name);
    }
  }
  expect(found).toBeGreaterThan(5);
});
