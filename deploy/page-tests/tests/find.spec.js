// Finding a room: by length and days, at an exact time, and what comes close where nothing fits.

import { ahead, expect, test } from './fixtures.js';
import { IN_UTC, looks, UTC } from './looks.js';

const day = ahead(5);
const next = ahead(6);
const open = { opens: '09:00', closes: '12:00' };
const openingHours = Object.fromEntries(
  ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'].map((name) => [name, open]),
);

test.beforeAll(async ({ stack }) => {
  const small = await stack.room('Find small', { kind: 'found', capacity: 4, openingHours, ...IN_UTC });
  await stack.room('Find large', { kind: 'found', capacity: 20, openingHours, maxMinutes: 90, ...IN_UTC });
  // The smallest room of all that takes two: rooms of other tests come after it.
  await stack.room('Find other', { kind: 'other', capacity: 2, openingHours, ...IN_UTC });
  await stack.reserve(small, `${day}T10:00:00Z`, `${day}T12:00:00Z`);
});

/** The offered times of a room. */
const times = (page, room) => page.getByRole('button', { name: new RegExp(`, book ${room}$`) });

test('a room is found by people, length and day, and booked by one click and the form', async ({ as }) => {
  const page = await as('ann', { hash: '#/find', ...UTC });
  await page.getByLabel('People').fill('3');
  await page.getByLabel('Minutes').fill('60');
  await page.getByLabel('Kind').selectOption('found');
  await page.getByLabel('Day', { exact: true }).fill(day);
  await page.getByRole('button', { name: 'Find rooms' }).click();
  await expect(page.getByRole('heading', { name: '2 rooms are free' })).toBeVisible();
  await expect(times(page, 'Find small')).toHaveText([/^0?9:00 – 10:00/]);
  await expect(times(page, 'Find large')).toHaveText([/^0?9:00 – 10:00/, /^10:00 – 11:00/, /^11:00 – 12:00/]);
  // The smallest one that fits comes first.
  await expect(page.getByRole('listitem').filter({ hasText: 'Find ' }).first()).toContainText('Find small');
  await times(page, 'Find large').nth(1).click();
  const form = page.getByRole('dialog', { name: 'Book Find large' });
  await expect(form.getByLabel('From', { exact: true })).toHaveValue('10:00');
  await expect(form.getByLabel('People')).toHaveValue('3');
  await form.getByRole('button', { name: 'Book' }).click();
  await expect(times(page, 'Find large')).toHaveText([/^0?9:00 – 10:00/, /^11:00 – 12:00/]);
});

test('a range of days offers the times of each, and the address keeps the search', async ({ as }) => {
  const hash = `#/find?people=1&minutes=120&date=${day}&until=${next}&kind=found`;
  const page = await as('ben', { hash, ...UTC });
  // Free for two hours only on the second day; the large room takes no such stay.
  await expect(page.getByRole('heading', { name: 'One room is free' })).toBeVisible();
  await expect(times(page, 'Find small')).toHaveText([/^0?9:00 – 11:00/]);
  await page.reload();
  await expect(times(page, 'Find small')).toHaveText([/^0?9:00 – 11:00/]);
  await expect(page.getByLabel('Minutes')).toHaveValue('120');
});

test('at an exact time, those rooms are found that would take the stay', async ({ as }) => {
  const page = await as('ben', { hash: `#/find?minutes=60&date=${day}&kind=found&at=11:00`, ...UTC });
  await expect(times(page, 'Find large')).toHaveText([/^11:00 – 12:00/]);
  await expect(times(page, 'Find small')).toHaveCount(0);
});

test('where nothing fits, other kinds, later days and shorter stays are offered', async ({ as }) => {
  const page = await as('ben', { hash: `#/find?people=2&minutes=120&date=${day}&kind=found`, ...UTC });
  await expect(page.getByRole('heading', { name: 'Nothing fits. This comes close:' })).toBeVisible();
  await expect(page.getByRole('heading', { name: 'Another kind of room' })).toBeVisible();
  await expect(page.getByRole('heading', { name: 'In the seven days after' })).toBeVisible();
  await expect(page.getByRole('heading', { name: 'A shorter stay' })).toBeVisible();
  await expect(times(page, 'Find other')).toHaveText([/^0?9:00 – 11:00/]);
});

test('a last day before the first one is told at its field', async ({ as }) => {
  const page = await as('ben', { hash: '#/find', ...UTC });
  await page.getByLabel('Day', { exact: true }).fill(next);
  await page.getByLabel('Or up to this day').fill(day);
  await page.getByRole('button', { name: 'Find rooms' }).click();
  await expect(page.getByRole('alert')).toHaveText('The last day must not lie before the first one.');
  await expect(page.getByLabel('Or up to this day')).toBeFocused();
});

looks('find', async (as, options) => {
  const page = await as('axe', { hash: `#/find?minutes=30&date=${day}&until=${next}`, ...UTC, ...options });
  await expect(times(page, 'Find small').first()).toBeVisible();
  return page;
});
