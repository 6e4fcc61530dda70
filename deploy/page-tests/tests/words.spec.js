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

test('each of them has the same texts in every language', async () => {
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
  }
  expect(found).toBeGreaterThan(5);
});

/** The modules of a folder, by name. */
const modulesIn = async (folder) => {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.js'));
  return Promise.all(files.map((file) => readFile(new URL(file, folder), 'utf8')));
};

test('each text that a screen names is among those that are loaded with it', async () => {
  const list = await readFile(new URL('index.js', screens), 'utf8');
  const known = [...list.matchAll(/name: '([a-z-]+)'[^}]*?(?:words: \[([^\]]*)\])? \}/g)];
  expect(known.length).toBeGreaterThan(8);
  const general = await wordsIn(new URL('en.js', common));
  const shared = await modulesIn(new URL('../lib/', screens));
  let named = 0;
  for (const [, name, own = ''] of known) {
    const folders = [...own.matchAll(/'([a-z-]+)'/g)].map(([, folder]) => folder);
    const loaded = await Promise.all(folders.map((folder) => wordsIn(new URL(`${folder}/words/en.js`, screens))));
    const words = { ...general, ...Object.fromEntries(folders.map((folder, index) => [folder, loaded[index]])) };
    const modules = await modulesIn(new URL(`${name}/`, screens));
    // Forms say what became of their command.
    if (modules.some((module) => module.includes('lib/acting.js')))
      modules.push(...shared.filter((module) => module.includes('useCommand')));
    for (const [, key] of modules.join('').matchAll(/\b(?:t|maybe)\(\s*['`]([a-zA-Z-]+\.[a-zA-Z.]+)/g)) {
      named += 1;
      const found = key
        .split('.')
        .filter(Boolean)
        .reduce((part, step) => part?.[step], words);
      expect(found, `${name}: ${key}`).toBeDefined();
    }
    if (!['book', 'sign-in'].includes(name)) expect(general.menu).toHaveProperty(name);
  }
  expect(named).toBeGreaterThan(200);
});

test('each problem that has a text is one of the services’', async () => {
  const types = new URL('../../../service-kit/src/http/problem.rs', import.meta.url);
  const slugs = [...(await readFile(types, 'utf8')).matchAll(/^ {4}[A-Z]\w+ "([a-z-]+)" [A-Z_]+ "/gm)].map(
    ([, slug]) => slug,
  );
  expect(slugs.length).toBeGreaterThan(40);
  const { lost, ...texts } = (await wordsIn(new URL('en.js', common))).problem;
  expect(lost).toBeDefined();
  expect(Object.keys(texts).filter((slug) => !slugs.includes(slug))).toEqual([]);
});
