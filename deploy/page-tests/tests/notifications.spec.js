// Notifications: subscriptions with their deliveries.

import { createServer } from 'node:http';
import { ahead, expect, test } from './fixtures.js';
import { looks } from './looks.js';

/** An endpoint on this machine, and what it got. */
async function endpoint() {
  const got = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => {
      body += part;
    });
    request.on('end', () => {
      got.push(JSON.parse(body));
      response.writeHead(204).end();
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { got, url: `http://127.0.0.1:${server.address().port}/hook`, end: () => server.close() };
}

const subscribe = async (page, url) => {
  await page.getByLabel('Address of the endpoint').fill(url);
  await page.getByRole('button', { name: 'Notify' }).click();
};

test('a subscription is made, shows its key once, and is told of a reservation', async ({ stack, as }) => {
  const there = await endpoint();
  const room = await stack.room('Notified');
  const page = await as('nina', { hash: '#/notifications' });
  await expect(page.getByText('You get no notifications yet.')).toBeVisible();
  await page.getByLabel(/^Reminder/).fill('30');
  await subscribe(page, there.url);
  await expect(page.getByRole('heading', { name: 'My reservations' })).toBeVisible();
  await expect(page.getByText('a reminder 30 minutes before')).toBeVisible();
  await expect(page.getByLabel(/^The key of its signatures/)).toHaveValue(/^whsec_/);
  await stack.reserve(room, `${ahead(3)}T10:00:00Z`, `${ahead(3)}T11:00:00Z`, { user: 'nina' });
  await expect.poll(() => there.got.length).toBe(1);
  await page.reload();
  await expect(page.getByLabel(/^The key of its signatures/)).toHaveCount(0);
  await page.getByRole('button', { name: 'Messages' }).click();
  await expect(page.getByRole('dialog').getByText('Delivered')).toBeVisible();
  await page
    .getByRole('dialog')
    .getByRole('button', { name: /^Send again/ })
    .first()
    .click();
  await expect.poll(() => there.got.length).toBe(2);
  there.end();
});

test('a subscription is tested, disabled, enabled and deleted', async ({ as }) => {
  const there = await endpoint();
  const page = await as('otto', { hash: '#/notifications' });
  await subscribe(page, there.url);
  await page.getByRole('button', { name: 'Send a test' }).click();
  await expect.poll(() => there.got.map(({ type }) => type)).toEqual(['notifications.test']);
  await page.getByRole('button', { name: 'Disable' }).click();
  await expect(page.getByText('Disabled by you')).toBeVisible();
  await page.getByRole('button', { name: 'Enable' }).click();
  await expect(page.getByText('Enabled', { exact: true })).toBeVisible();
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('button', { name: 'Really delete' }).click();
  await expect(page.getByText('You get no notifications yet.')).toBeVisible();
  there.end();
});

test('an address that is not allowed is refused at its field', async ({ as }) => {
  const page = await as('paul', { hash: '#/notifications' });
  await subscribe(page, 'http://example.com/hook');
  await expect(page.getByRole('alert')).toBeVisible();
  await expect(page.getByLabel('Address of the endpoint')).toHaveAttribute('aria-invalid', 'true');
});

test('administrators alone subscribe to a room', async ({ stack, as }) => {
  await stack.room('Watched');
  const user = await as('quin', { hash: '#/notifications' });
  await expect(user.getByRole('button', { name: 'Notify' })).toBeVisible();
  await expect(user.getByLabel('About')).toHaveCount(0);
  const there = await endpoint();
  const page = await as('root', { hash: '#/notifications', admin: true });
  await page.getByLabel('About').selectOption('A room');
  await page.getByLabel('Room', { exact: true }).selectOption('Watched');
  await subscribe(page, there.url);
  await expect(page.getByRole('heading', { name: 'All reservations of Watched' })).toBeVisible();
  there.end();
});

looks('notifications', async (as, options) => {
  const page = await as(`axe ${options.colorScheme ?? 'narrow'}`, { hash: '#/notifications', ...options });
  await subscribe(page, 'http://127.0.0.1:9/hook');
  await expect(page.getByLabel(/^The key of its signatures/)).toBeVisible();
  return page;
});
