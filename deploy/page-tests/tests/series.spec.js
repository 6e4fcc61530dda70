// Reservations that repeat: preview, what doesn't fit, and cancelling several.

import { ahead, expect, free, test } from './fixtures.js';

test('a series shows what does not fit, is booked without it, and is cancelled from one occurrence on', async ({
  stack,
  as,
}) => {
  const [day, third] = [ahead(10), ahead(24)];
  const room = await stack.room('Series', { kind: 'series', timeZone: 'Atlantic/Reykjavik' });
  await stack.reserve(room, `${third}T10:30:00Z`, `${third}T11:30:00Z`);
  const page = await as('sue', { hash: `#/day?date=${day}&kind=series` });
  await free(page, 'Series', '10:00').click();
  const form = page.getByRole('dialog', { name: 'Book Series' });
  await form.getByLabel('Title').fill('Weekly');
  await form.getByLabel('Repeat').selectOption('Each week on this weekday');
  await form.getByLabel('Times').fill('4');
  await form.getByRole('button', { name: 'Preview' }).click();
  await expect(form.getByText('3 fit.')).toBeVisible();
  await expect(form.getByRole('listitem')).toHaveText([/10:00.*11:00: reserved$/]);
  await form.getByRole('button', { name: 'Book' }).click();
  await expect(form.getByText('Some of them don’t fit.')).toBeVisible();
  await form.getByLabel('Leave out what doesn’t fit').check();
  await form.getByRole('button', { name: 'Book' }).click();
  await expect(form).toBeHidden();

  await page.getByRole('link', { name: 'My reservations' }).click();
  const cards = page.getByRole('listitem').filter({ has: page.getByRole('heading', { name: 'Weekly' }) });
  await expect(cards).toHaveCount(3);
  await cards.nth(1).getByRole('button', { name: 'Cancel reservation' }).click();
  const sure = page.getByRole('dialog', { name: 'Cancel reservation' });
  await sure.getByLabel('This and the following ones').check();
  await sure.getByRole('button', { name: 'Cancel reservation' }).click();
  await expect(cards).toHaveCount(1);
});
