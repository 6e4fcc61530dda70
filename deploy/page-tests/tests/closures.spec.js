// Closures: an administrator makes one, all see it at once, nobody books in it, and it is lifted.

import { ahead, expect, free, test } from './fixtures.js';
import { IN_UTC, looks, UTC } from './looks.js';

const day = ahead(8);
const cell = (page, text) => page.getByRole('gridcell', { name: `Closing, ${text}`, exact: true });

/** Fills the form of a new closure. */
async function close(page, room, from, to, reason) {
  await page.getByRole('link', { name: 'Closures', exact: true }).click();
  await page.getByLabel('Room', { exact: true }).selectOption(room);
  await page.getByLabel('From', { exact: true }).fill(`${day}T${from}`);
  await page.getByLabel('To', { exact: true }).fill(`${day}T${to}`);
  await page.getByLabel(/^Reason/).fill(reason);
  await page.getByRole('button', { name: 'Close rooms' }).click();
}

test('a closure is made, seen by all, refuses a booking in words, and is lifted', async ({ stack, as }) => {
  const room = await stack.room('Closing', { kind: 'closing', ...IN_UTC });
  await stack.reserve(room, `${day}T11:00:00Z`, `${day}T12:00:00Z`);
  const ann = await as('ann', { hash: `#/day?date=${day}&kind=closing`, ...UTC });
  await expect(free(ann, 'Closing', '9:00')).toBeVisible();

  const root = await as('root', { hash: '#/admin', admin: true, ...UTC });
  await close(root, 'Closing', '10:00', '14:00', 'Painting <b>');
  // The reservation in it is named, and stays.
  await expect(root.getByText('One reservation lies in this time. It stays:')).toBeVisible();
  const listed = root.getByRole('listitem').filter({ hasText: 'Painting <b>' });
  await expect(listed).toContainText('Closing');

  await expect(cell(ann, '10:00 to 11:00, closed: Painting <b>')).toBeVisible();
  await expect(cell(ann, '11:00 to 12:00, reserved')).toBeVisible();
  await expect(cell(ann, '12:00 to 14:00, closed: Painting <b>')).toBeVisible();
  await free(ann, 'Closing', '9:00').click();
  const form = ann.getByRole('dialog', { name: 'Book Closing' });
  await form.getByLabel('To', { exact: true }).fill('10:30');
  await form.getByRole('button', { name: 'Book' }).click();
  await expect(form.getByText('The room is closed then.')).toBeVisible();
  await form.getByRole('button', { name: 'Cancel' }).click();

  await listed.getByRole('button', { name: 'Lift Painting <b>' }).click();
  await expect(listed).toHaveCount(0);
  await expect(free(ann, 'Closing', '10:00')).toBeVisible();
  await expect(cell(ann, '11:00 to 12:00, reserved')).toBeVisible();
});

test('the form shows which room or kind it would close before one is chosen', async ({ stack, as }) => {
  await stack.room('Closed first', { kind: 'closed first' });
  const page = await as('root', { hash: '#/admin?part=closures', admin: true });
  const chosen = (label) => page.getByLabel(label, { exact: true }).locator('option:checked');
  await expect(chosen('Room')).toHaveText(/\S/);
  await page.getByLabel('What', { exact: true }).selectOption('A kind of rooms');
  await expect(chosen('Kind')).toHaveText(/\S/);
});

test('while closures of many rooms are read, the screen says so', async ({ stack, as }) => {
  await stack.room('Slow', { kind: 'slow' });
  const page = await as('root', { hash: '#/admin', admin: true });
  let answer = () => {};
  const asked = new Promise((resolve) => {
    answer = () => resolve(undefined);
  });
  await page.route('**/v1/rooms/*/schedule?**', async (route) => {
    await asked;
    await route.continue();
  });
  await page.getByRole('link', { name: 'Closures', exact: true }).click();
  const loading = page.getByRole('status').filter({ hasText: 'Loading closures…' });
  await expect(loading).toBeVisible();
  await expect(page.getByText('No room is closed in the year ahead.')).toHaveCount(0);
  answer();
  await expect(page.getByText('No room is closed in the year ahead.')).toBeVisible();
  await expect(loading).toHaveCount(0);
});

looks('closures', async (as, options) => {
  const page = await as('root', { hash: '#/admin', admin: true, ...options, ...UTC });
  await page.getByRole('link', { name: 'Closures', exact: true }).click();
  await expect(page.getByLabel(/^Reason/)).toBeVisible();
  return page;
});
