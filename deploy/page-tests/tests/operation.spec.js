// How the services do, for administrators.

import { expect, test } from './fixtures.js';
import { looks } from './looks.js';

const part = (page, name) => page.getByRole('region', { name, exact: true });

test('readiness, relay, waiting rooms and generations are shown, and how to take back is said', async ({ as }) => {
  const page = await as('root', { hash: '#/operation', admin: true });
  await expect(part(page, 'Services').getByText('Ready', { exact: true })).toHaveCount(2);
  await expect(part(page, 'Services')).toContainText('Events not delivered yet');
  await expect(part(page, 'Relay')).toContainText('table');
  await expect(part(page, 'Held rooms')).toContainText('None.');
  await expect(part(page, 'Parked rooms')).toContainText('None.');
  await expect(part(page, 'Generations of read models').getByRole('row').nth(1)).toContainText('live');
  const roll = part(page, 'Take back what somebody did');
  await roll.getByLabel('Name').fill("o'neil");
  await expect(roll.locator('code')).toHaveText(
    /^command-service roll-back --actor 'o'\\''neil' --since \d{4}-\d\d-\d\dT[0-9:]+Z --dry-run$/,
  );
});

test('a service that does not answer is told, and the others are shown', async ({ stack, as }) => {
  const page = await as('root', { admin: true });
  await page.route(`${stack.commands}/**`, (route) => route.abort('connectionrefused'));
  await page.goto(`${stack.page}/#/operation`);
  await expect(part(page, 'Services').getByText('No answer')).toBeVisible();
  await expect(part(page, 'Relay').getByRole('alert')).toHaveText('The service did not answer.');
  await expect(part(page, 'Parked rooms')).toContainText('None.');
});

looks('operation', async (as, options) => {
  const page = await as('root', { hash: '#/operation', admin: true, ...options });
  await expect(part(page, 'Relay')).toContainText('table');
  await expect(part(page, 'Generations of read models').getByRole('row').nth(1)).toBeVisible();
  return page;
});
