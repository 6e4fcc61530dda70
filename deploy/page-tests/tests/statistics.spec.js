// Statistics: bars, a table of hours that reads without colour, and files for spreadsheets.

import { readFile } from 'node:fs/promises';
import { ahead, expect, test } from './fixtures.js';
import { IN_UTC, looks, UTC } from './looks.js';

const day = ahead(3);
const weekday = new Date(`${day}T00:00:00Z`).toLocaleDateString('en', { weekday: 'short', timeZone: 'UTC' });
const hash = `#/statistics?from=${day}&until=${day}&kind=counted`;

test.beforeAll(async ({ stack }) => {
  const one = await stack.room('Count "one"', { kind: 'counted', ...IN_UTC });
  const two = await stack.room('=Count two', { kind: 'counted', ...IN_UTC });
  await stack.reserve(one, `${day}T09:00:00Z`, `${day}T12:00:00Z`);
  await stack.reserve(two, `${day}T09:00:00Z`, `${day}T10:00:00Z`);
  // Statistics count a moment later.
  const counted = `/v1/statistics/popular-rooms?from=${day}T00:00:00Z&to=${ahead(4)}T00:00:00Z&kind=counted`;
  await expect.poll(async () => (await stack.query(counted)).items.length).toBe(2);
});

const popular = (page) => page.getByRole('region', { name: 'Popular rooms' }).getByRole('row');
const busiest = (page) => page.getByRole('table', { name: 'Reserved hours of all rooms' });

test('rooms stand by reserved time, with bars of that length', async ({ as }) => {
  const page = await as('ann', { hash, ...UTC });
  await expect(popular(page).nth(1)).toContainText('Count "one"');
  await expect(popular(page).nth(1)).toContainText('3 h');
  await expect(popular(page).nth(2)).toContainText('1 h');
  const widths = await page.locator('.statistics-bar span').evaluateAll((bars) => bars.map((bar) => bar.offsetWidth));
  expect(widths[0] / widths[1]).toBeCloseTo(3, 0);
});

test('the table of hours has a number in each cell, and its row and column by name', async ({ as }) => {
  const page = await as('ann', { hash, ...UTC });
  const row = busiest(page).getByRole('row', { name: new RegExp(`^${weekday}`) });
  await expect(row.getByRole('cell')).toHaveCount(24);
  await expect(row.getByRole('cell').nth(8)).toHaveText('0');
  await expect(row.getByRole('cell').nth(9)).toHaveText('2');
  await expect(row.getByRole('cell').nth(10)).toHaveText('1');
  await expect(busiest(page).getByRole('columnheader')).toHaveCount(25);
  // As the reader's country writes hours.
  await expect(busiest(page).getByRole('columnheader').nth(14)).toHaveText('13');
  await expect(busiest(page).getByRole('rowheader')).toHaveCount(7);
});

test('the files have all numbers, and no text that a spreadsheet takes for a formula', async ({ as }) => {
  const page = await as('ann', { hash, ...UTC });
  await expect(popular(page)).toHaveCount(3);
  const files = [];
  for (const index of [0, 1]) {
    const downloading = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download as CSV' }).nth(index).click();
    const download = await downloading;
    files.push([download.suggestedFilename(), await readFile(await download.path(), 'utf8')]);
  }
  expect(files[0][0]).toBe(`rooms-${day}-${day}.csv`);
  expect(files[0][1]).toMatch(/^\uFEFFroom,minutes,reservations/);
  expect(files[0][1]).toContain('\r\n"Count ""one""",180,1');
  expect(files[0][1]).toContain(`\r\n"'=Count two",60,1`);
  const number = new Date(`${day}T00:00:00Z`).getUTCDay() || 7;
  expect(files[1][1]).toContain(`\r\n${number},9,120\r\n${number},10,60\r\n`);
});

test('another period and kind are asked for, and the address keeps them', async ({ as }) => {
  const page = await as('ann', { hash, ...UTC });
  await expect(popular(page)).toHaveCount(3);
  await page.getByLabel('From', { exact: true }).fill(ahead(4));
  await expect(page.getByText('Nothing is reserved in this period.').first()).toBeVisible();
  expect(page.url()).toContain(`from=${ahead(4)}`);
});

looks('statistics', async (as, options) => {
  const page = await as('axe', { hash, ...UTC, ...options });
  await expect(popular(page)).toHaveCount(3);
  await expect(busiest(page)).toBeVisible();
  return page;
});
