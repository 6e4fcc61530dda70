// The past of a schedule: by slider, by change, by exact time, and how it differs from now.

import { ahead, expect, test } from './fixtures.js';
import { IN_UTC, looks, UTC } from './looks.js';

const day = ahead(9);
let room = '';

test.beforeAll(async ({ stack }) => {
  room = await stack.room('Past', { kind: 'past', ...IN_UTC });
  const own = { user: 'ann', admin: false };
  const kept = await stack.reserve(room, `${day}T08:00:00Z`, `${day}T09:00:00Z`, { user: 'ann', title: 'Kept' });
  const gone = await stack.reserve(room, `${day}T10:00:00Z`, `${day}T11:00:00Z`, { user: 'ann', title: 'Gone' });
  await stack.command('DELETE', `/v1/rooms/${room}/reservations/${gone.reservation}`, undefined, own);
  await stack.command('PATCH', `/v1/rooms/${room}/reservations/${kept.reservation}`, { title: 'Renamed' }, own);
  await stack.reserve(room, `${day}T12:00:00Z`, `${day}T13:00:00Z`, { user: 'ann', title: 'Third' });
});

const hash = (more = '') => `#/past?room=${room}&date=${day}&days=1${more}`;
const entry = (page, text) => page.getByRole('listitem').filter({ hasText: text });

test('steps of one change lead back, and each entry says what became of it', async ({ as }) => {
  const page = await as('ann', { hash: hash(), ...UTC });
  await expect(entry(page, 'Renamed')).toBeVisible();
  await expect(page.getByText('Version 6 of the room.')).toBeVisible();
  for (const version of [5, 4, 3]) {
    await page.getByRole('button', { name: 'One change earlier' }).click();
    await expect(page.getByText(`Version ${version} of the room. Recorded`)).toBeVisible();
  }
  await expect(entry(page, 'Gone')).toContainText('Not there any more');
  await expect(entry(page, 'Kept')).toContainText('Changed since');
  await expect(entry(page, 'Kept')).toContainText('Renamed');
  await expect(entry(page, 'Third')).toContainText('Came later');
  await page.getByRole('button', { name: 'Now', exact: true }).click();
  await expect(entry(page, 'Gone')).toHaveCount(0);
});

test('the slider moves by keys, and shows a room that was not there yet', async ({ as }) => {
  const page = await as('ann', { hash: hash('&back=1'), ...UTC });
  const slider = page.getByRole('slider', { name: /^As of/ });
  await expect(slider).toHaveAttribute('aria-valuetext', 'Now');
  await slider.focus();
  await page.keyboard.press('Home');
  await expect(page.getByText('This room was not there yet.')).toBeVisible();
  await expect(slider).not.toHaveAttribute('aria-valuetext', 'Now');
  expect(page.url()).toContain('moment=');
  await page.keyboard.press('End');
  await expect(entry(page, 'Renamed')).toBeVisible();
});

test('others see times without names, in the past too', async ({ as }) => {
  const page = await as('ben', { hash: hash('&version=3'), ...UTC });
  await expect(entry(page, 'Reserved')).toHaveCount(3);
  for (const title of ['Gone', 'Kept', 'Renamed', 'Third']) await expect(page.getByText(title)).toHaveCount(0);
});

looks('past', async (as, options) => {
  const page = await as('ann', { hash: hash('&version=3'), ...UTC, ...options });
  await expect(entry(page, 'Gone')).toBeVisible();
  return page;
});
