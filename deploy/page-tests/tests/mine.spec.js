// My reservations: change, move, cancel, end, history, restore, calendar.

import { ahead, expect, test } from './fixtures.js';

const day = ahead(4);
const card = (page, title) =>
  page.getByRole('listitem').filter({ has: page.getByRole('heading', { name: title, exact: true }) });

test('a reservation is changed, moved, cancelled and restored, and its history says who did what', async ({
  stack,
  as,
}) => {
  const room = await stack.room('Old', { kind: 'mine' });
  await stack.room('New', { kind: 'mine' });
  const { reservation } = await stack.reserve(room, `${day}T10:00:00Z`, `${day}T11:00:00Z`, {
    user: 'ann',
    title: 'Talk',
  });
  const page = await as('ann', { hash: '#/mine' });
  await card(page, 'Talk').getByRole('button', { name: 'Change' }).click();
  const form = page.getByRole('dialog', { name: 'Change reservation in Old' });
  await form.getByLabel('Title').fill('Long talk');
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(card(page, 'Long talk')).toBeVisible();

  await card(page, 'Long talk').getByRole('button', { name: 'Move' }).click();
  await page.getByRole('dialog').getByLabel('Room').selectOption('New');
  await page.getByRole('dialog').getByRole('button', { name: 'Move' }).click();
  // The open dialog, which offers the room, lies within the card.
  await expect(page.getByRole('dialog')).toBeHidden();
  await expect(card(page, 'Long talk')).toContainText('New');

  await stack.command(
    'PATCH',
    `/v1/rooms/${(await stack.query(`/v1/reservations/${reservation}`)).room}/reservations/${reservation}`,
    { people: 5 },
  );
  await expect(card(page, 'Long talk')).toContainText('5 people');

  await card(page, 'Long talk').getByRole('button', { name: 'Cancel reservation' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel reservation' }).click();
  await expect(card(page, 'Long talk')).toHaveCount(0);
  await expect(page.getByRole('listitem').filter({ hasText: /Changed by root: Long talk/ })).toBeVisible();

  await page.getByRole('button', { name: 'History: Long talk' }).first().click();
  const history = page.getByRole('dialog', { name: 'History' });
  await expect(history.getByRole('listitem')).toHaveCount(5);
  await expect(history.getByRole('listitem').nth(3)).toContainText('Changed by root');
  await history.getByRole('listitem').nth(1).getByRole('button', { name: 'Restore this state' }).click();
  await expect(card(page, 'Long talk')).toContainText('2 people');
  await expect(card(page, 'Long talk')).toContainText('Old');
});

test('somebody new is told that there is nothing yet', async ({ as }) => {
  const page = await as('nobody', { hash: '#/mine' });
  await expect(page.getByText('You have no reservations ahead.')).toBeVisible();
  await expect(page.getByText('Nothing yet.')).toBeVisible();
});

test('a change that another one overtook is refused, and the form shows how it is now', async ({ stack, as }) => {
  const room = await stack.room('Stale');
  const { reservation } = await stack.reserve(room, `${day}T12:00:00Z`, `${day}T13:00:00Z`, {
    user: 'sam',
    title: 'First',
  });
  const page = await as('sam', { hash: '#/mine' });
  await card(page, 'First').getByRole('button', { name: 'Change' }).click();
  await stack.command('PATCH', `/v1/rooms/${room}/reservations/${reservation}`, { title: 'Second' });
  const form = page.getByRole('dialog');
  await form.getByLabel('Title').fill('Third');
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(form.getByText('It has been changed meanwhile.')).toBeVisible();
  await expect(form.getByLabel('Title')).toHaveValue('Second');
  await form.getByLabel('Title').fill('Third');
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(card(page, 'Third')).toBeVisible();
});

test('a running stay is ended now', async ({ stack, as }) => {
  // The running slot can be booked. These are days, so that the stay does not end during the test.
  const room = await stack.room('Running', { slotMinutes: 1440, timeZone: 'Etc/UTC' });
  const midnight = (days) => `${new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10)}T00:00:00Z`;
  const [from, to] = [midnight(0), midnight(2)];
  await stack.reserve(room, from, to, { user: 'rita', title: 'Now' });
  const page = await as('rita', { hash: '#/mine' });
  await card(page, 'Now').getByRole('button', { name: 'End now' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'End now' }).click();
  // Before it is confirmed, more is said.
  await expect(page.getByRole('status').filter({ hasText: /^Ended\.$/ })).toBeVisible();
  const { items } = await stack.query(`/v1/rooms/${room}/schedule?from=${from}&to=${to}`);
  expect(Date.parse(items[0].to)).toBeLessThan(Date.now() + 120_000);
});

test('a calendar address is made, shown once, works, and is deleted', async ({ stack, as }) => {
  const room = await stack.room('Calendar');
  await stack.reserve(room, `${day}T14:00:00Z`, `${day}T15:00:00Z`, { user: 'cal', title: 'In the calendar' });
  const page = await as('cal', { hash: '#/mine' });
  await page.getByRole('button', { name: 'New address' }).click();
  const address = await page.getByRole('textbox', { name: 'Calendar for other programs' }).inputValue();
  const text = async () => (await fetch(address)).text();
  expect(await text()).toContain('In the calendar');
  await page.reload();
  await expect(page.getByText('my reservations, made')).toBeVisible();
  await expect(page.getByRole('textbox', { name: 'Calendar for other programs' })).toHaveCount(0);
  await page.getByRole('button', { name: 'Delete' }).click();
  await expect(page.getByText('my reservations, made')).toHaveCount(0);
  expect(await text()).not.toContain('In the calendar');
});
