// Makes the screenshots of the README: npm run screenshots

import { mkdir } from 'node:fs/promises';
import { chromium } from '@playwright/test';
import { Stack } from './stack.js';

const TO = new URL('../../docs/images/', import.meta.url).pathname;
const NAMES = ['Atrium', 'Blue room', 'Cellar', 'Dome', 'Elm', 'Forum', 'Garden', 'Hall', 'Ivory', 'Jade'];
/** Always the same day, so that a new picture differs only where the page does. */
const DAY = '2030-06-04';

const stack = await Stack.start();
const week = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'];
const openingHours = Object.fromEntries(week.map((name) => [name, { opens: '07:00', closes: '21:00' }]));
let number = 0;
for (const name of NAMES) {
  number += 1;
  const room = await stack.room(name, { capacity: 2 + ((number * 5) % 17), openingHours });
  for (let hour = 7 + (number % 3); hour < 19; hour += 2 + ((number + hour) % 3)) {
    const user = (number + hour) % 4 ? 'ben' : 'ann';
    const title = ['Planning', 'Interview', 'Design review', 'Lunch talk'][(number + hour) % 4];
    const from = `${DAY}T${String(hour).padStart(2, '0')}:00:00Z`;
    const to = `${DAY}T${String(hour + 1).padStart(2, '0')}:${number % 2 ? '30' : '00'}:00Z`;
    await stack.reserve(room, from, to, { user, title });
  }
}
await mkdir(TO, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-dev-shm-usage'],
});
for (const { name, hash, prepare, ...options } of [
  { name: 'light', colorScheme: 'light', viewport: { width: 1280, height: 720 }, hash: 'day' },
  { name: 'dark', colorScheme: 'dark', viewport: { width: 1280, height: 720 }, hash: 'day', prepare: true },
  { name: 'narrow', colorScheme: 'light', viewport: { width: 360, height: 720 }, hash: 'mine' },
]) {
  const context = await browser.newContext({
    ...options,
    reducedMotion: 'reduce',
    locale: 'en-GB',
    timezoneId: 'Europe/Lisbon',
  });
  const page = await context.newPage();
  await page.goto(`${stack.page}/#/${hash}${hash === 'day' ? `?date=${DAY}` : ''}`);
  await page.getByLabel('Name', { exact: true }).fill('ann');
  await page.getByRole('button', { name: 'Continue' }).click();
  if (hash === 'day')
    await page
      .getByRole('gridcell', { name: /reserved by ann/ })
      .first()
      .waitFor();
  else await page.getByRole('button', { name: 'Change' }).first().waitFor();
  if (prepare) {
    await page
      .getByRole('gridcell', { name: /^Cellar, .* free$/ })
      .nth(6)
      .click();
    await page.getByRole('button', { name: 'Book', exact: true }).waitFor();
  }
  await page.screenshot({ path: `${TO}${name}.png` });
  await context.close();
}
await browser.close();
await stack.end();
