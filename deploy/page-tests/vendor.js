// Copies the page's libraries from the registry's packages, or checks that the copies are theirs (`--check`).

import { mkdir, readFile, writeFile } from 'node:fs/promises';

/** The files of each package, and their names in `query-service/web/vendor/`. */
const PACKAGES = {
  preact: { 'dist/preact.mjs': 'preact.js', 'hooks/dist/hooks.mjs': 'hooks.js' },
  '@preact/signals-core': { 'dist/signals-core.module.js': 'signals-core.js' },
  '@preact/signals': { 'dist/signals.module.js': 'signals.js' },
  htm: { 'dist/htm.module.js': 'htm.js' },
};
const TO = new URL('../../query-service/web/vendor/', import.meta.url);
const FROM = new URL('node_modules/', import.meta.url);

/** A library's code as it is served: the package's, without the reference to a source map that nobody has. */
const served = (code) => code.replace(/\n?\/\/# sourceMappingURL=.*\s*$/, '\n');

const files = new Map();
let licences =
  'Libraries of other people\n\nCopied by `npm run vendor` in `deploy/page-tests/`, and checked by `npm run check`.\n';
for (const [name, copied] of Object.entries(PACKAGES)) {
  const folder = new URL(`${name}/`, FROM);
  const { version, license } = JSON.parse(await readFile(new URL('package.json', folder), 'utf8'));
  const text = await readFile(new URL('LICENSE', folder), 'utf8');
  licences += `\n${name} ${version}\n\nLicence: ${license}. Files: ${Object.values(copied).join(', ')}.\n\n${text.trim().replace(/^/gm, '    ').replace(/^ +$/gm, '')}\n`;
  for (const [from, to] of Object.entries(copied)) {
    files.set(to, served(await readFile(new URL(from, folder), 'utf8')));
  }
}
files.set('LICENCES.txt', licences);

let differing = 0;
await mkdir(TO, { recursive: true });
for (const [name, text] of files) {
  const file = new URL(name, TO);
  if (!process.argv.includes('--check')) {
    await writeFile(file, text);
  } else if ((await readFile(file, 'utf8').catch(() => '')) !== text) {
    console.error(`vendor/${name} is not the package's: npm run vendor`);
    differing += 1;
  }
}
process.exitCode = differing ? 1 : 0;
