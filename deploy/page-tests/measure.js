// Measures the page: deploy/page-tests/measure.sh

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from '@playwright/test';
import lighthouse from 'lighthouse';
import { freePort, Stack } from './stack.js';
import { loadOf, scriptingOf } from './timing.js';

const ROOMS = 60;
const TIMES = 7;
/** As Lighthouse's manual advises: one run tells little. */
const LIGHTHOUSES = 5;
const DAY = new Date(Date.now() + 5 * 86_400_000).toISOString().slice(0, 10);

Stack.log = 'ignore';
const stack = await Stack.start();
for (let number = 0; number < ROOMS; number += 1) {
  const room = await stack.room(`Room ${10 + number}`, { kind: 'many', building: number % 2 ? 'North' : 'South' });
  await stack.reserve(room, `${DAY}T10:00:00Z`, `${DAY}T11:30:00Z`, { title: 'Planning' });
}
await stack.room('Few', { kind: 'few' });

const port = await freePort();
const profile = await mkdtemp(join(tmpdir(), 'measure-'));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-dev-shm-usage', `--remote-debugging-port=${port}`],
  viewport: { width: 1280, height: 800 },
  timezoneId: 'Europe/Lisbon',
  locale: 'en-GB',
});
// Signed in for all that follows: development keeps the user.
const page = await context.newPage();
await page.goto(stack.page);
await page.getByLabel('Name', { exact: true }).fill('ann');
await page.getByRole('button', { name: 'Continue' }).click();
await page.getByRole('gridcell').first().waitFor();

const address = `${stack.page}/#/day?date=${DAY}`;
const loads = [];
for (let time = 0; time < TIMES; time += 1) loads.push(await loadOf(context, address));
const scripting = await scriptingOf(page, `${address}&kind=few`, TIMES);
await page.close();

const middle = (values) => values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)];
const show = (name, value, held) => console.log(`${name.padEnd(44)} ${String(value).padStart(10)}   ${held}`);
const milliseconds = (value) => `${value.toFixed(1)} ms`;
show('first screen, compressed (bytes)', middle(loads.map(({ bytes }) => bytes)), '≤ 35,840');
show(`first paint, median of ${TIMES} loads`, milliseconds(middle(loads.map(({ paint }) => paint))), '< 100 ms');
show('first paint, fastest', milliseconds(Math.min(...loads.map(({ paint }) => paint))), '');
show(`scripting of ${ROOMS} rooms, median of ${TIMES}`, milliseconds(middle(scripting)), '< 50 ms');
show(`scripting of ${ROOMS} rooms, fastest`, milliseconds(Math.min(...scripting)), '');
show(`layout shift, largest of ${TIMES} loads`, Math.max(...loads.map(({ shift }) => shift)).toFixed(4), '0');

// The page's live stream stays open, so Lighthouse would wait for its end.
const flags = { port, disableStorageReset: true, logLevel: 'error', output: 'json', maxWaitForLoad: 15_000 };
const onlyCategories = ['performance', 'accessibility', 'best-practices', 'seo'];
const runs = [];
for (let time = 0; time < LIGHTHOUSES; time += 1) {
  runs.push((await lighthouse(address, /** @type {any} */ ({ ...flags, onlyCategories }))).lhr);
}
const [lhr] = runs;
for (const { id, title } of Object.values(lhr.categories)) {
  const scores = runs.map(({ categories }) => Math.round(categories[id].score * 100));
  show(`Lighthouse: ${title}, median of ${LIGHTHOUSES}`, middle(scores), `≥ 95   (${scores.join(', ')})`);
}
const blocking = runs.map((lhr) => lhr.audits['total-blocking-time'].numericValue);
show(`Lighthouse: blocking time, median of ${LIGHTHOUSES}`, milliseconds(middle(blocking)), '');
if (process.env.FAULTS) {
  const faults = Object.values(lhr.audits).filter(({ score }) => score !== null && score < 0.9);
  for (const { id, displayValue, details } of faults)
    console.log(id, displayValue ?? '', JSON.stringify(details?.items));
}
await context.close();
await rm(profile, { recursive: true, force: true });
await stack.end();
