// How the services do, for administrators.

import { ahead, expect, test } from './fixtures.js';
import { looks } from './looks.js';

const part = (page, name) => page.getByRole('region', { name, exact: true });

/** Refreshes until each part of these names has its text. */
const shows = (page, parts) =>
  expect(async () => {
    await page.getByRole('button', { name: 'Refresh' }).click();
    for (const [name, text] of Object.entries(parts))
      await expect(part(page, name)).toContainText(text, { timeout: 500 });
  }).toPass();

test('readiness, lag, relay, waiting rooms and generations are shown', async ({ isReal, as }) => {
  const page = await as('root', { hash: '#/operation', admin: true });
  await expect(part(page, 'Services').getByText('Ready', { exact: true })).toHaveCount(2);
  await expect(part(page, 'Services')).toContainText('Events not delivered yet');
  await expect(part(page, 'Relay')).toContainText('table');
  await expect(part(page, 'Held rooms')).toContainText('None.');
  await expect(part(page, 'Parked rooms')).toContainText('None.');
  await expect(part(page, 'Generations of read models').getByRole('row').nth(1)).toContainText('live');
  // Also where /metrics is on an address that the page can't reach.
  await expect(part(page, 'Services')).toContainText(/Events not delivered yet\s*\d/);
  // The embedded default has no topic. A service that just started counts what is in its topic after some seconds.
  if (isReal) await shows(page, { Services: /Messages not projected yet\s*\d/ });
});

test('what would be taken back is shown before it is done, and how to do it', async ({ stack, as }) => {
  const room = await stack.room('Mistaken', { kind: 'mistaken' });
  const [kept, gone] = [ahead(20), ahead(21)];
  await stack.reserve(room, `${kept}T10:00:00Z`, `${kept}T11:00:00Z`, { user: "o'neil" });
  const { reservation } = await stack.reserve(room, `${gone}T10:00:00Z`, `${gone}T11:00:00Z`, { user: "o'neil" });
  await stack.command('PATCH', `/v1/rooms/${room}/reservations/${reservation}`, { people: 3 });
  const page = await as('root', { hash: '#/operation', admin: true });
  const roll = part(page, 'Take back what somebody did');
  await roll.getByLabel('User').fill("o'neil");
  await expect(roll.locator('code')).toHaveText(
    /^command-service roll-back --actor 'o'\\''neil' --since \d{4}-\d\d-\d\dT[0-9:]+Z$/,
  );
  await roll.getByRole('button', { name: 'Preview' }).click();
  await expect(roll.getByRole('status')).toHaveText(/One change would be taken back\.\s+One would be left\./);
  await expect(roll.getByRole('row').nth(1)).toContainText('left: it was changed since');
  await expect(roll.getByRole('row').nth(2)).toContainText('cancel');
  await expect(roll.getByRole('row').nth(2)).toContainText('Mistaken');
  await roll.getByLabel('What', { exact: true }).selectOption('What was done in a room');
  await roll.getByLabel('Room’s id').fill('no id');
  await roll.getByRole('button', { name: 'Preview' }).click();
  await expect(roll.getByRole('alert')).toBeVisible();
  await expect(roll.getByLabel('Room’s id')).toHaveAttribute('aria-invalid', 'true');
  const { items } = await stack.query(`/v1/rooms/${room}/schedule?from=${kept}T00:00:00Z&to=${gone}T23:00:00Z`);
  expect(items).toHaveLength(2);
});

test('the relay’s mode is shown, where it is another one', async ({ isReal, stack, as }) => {
  test.skip(!isReal, 'the embedded default has one mode');
  await stack.tell('command-service relay mode log --wait 60');
  const page = await as('root', { hash: '#/operation', admin: true });
  await expect(part(page, 'Relay')).toContainText(/Wanted mode\s*log/);
  await expect(part(page, 'Relay')).toContainText(/Phase\s*log/);
  await expect(part(page, 'Relay')).toContainText(/Place in the binary log\s*\S+:\d+/);
});

test('a room that the relay holds and one that is parked are shown with the way on, until an operator goes it', async ({
  isReal,
  stack,
  as,
}) => {
  test.skip(!isReal, 'the embedded default has no topic');
  const page = await as('root', { hash: '#/operation', admin: true });
  const [held, parked] = [await stack.room('Refused'), await stack.room('Garbled')];
  const hour = [`${ahead(3)}T10:00:00Z`, `${ahead(3)}T11:00:00Z`];
  await stack.tell(`garble ${parked} 2`);
  await shows(page, { 'Held rooms': 'None.', 'Parked rooms': 'Garbled' });
  await stack.tell('limit-messages 1000');
  await stack.reserve(held, ...hour, { title: '\u{1F35C}'.repeat(200), wait: false });
  await shows(page, { 'Held rooms': 'Refused', 'Parked rooms': 'Garbled' });
  await expect(part(page, 'Held rooms')).toContainText(/at event \d+/);
  await expect(part(page, 'Held rooms').locator('code')).toHaveText(
    `command-service release-room ${held} --reason TEXT`,
  );
  await expect(part(page, 'Parked rooms')).toContainText('at event 2');
  await expect(part(page, 'Parked rooms').locator('code')).toHaveText(`query-service parked redrive ${parked}`);

  await stack.tell('limit-messages 1048588');
  await stack.reserve(parked, ...hour, { wait: false });
  await stack.tell(`command-service release-room ${held} --reason larger-messages`);
  await stack.tell(`query-service parked redrive ${parked}`);
  await shows(page, { 'Held rooms': 'None.', 'Parked rooms': 'None.' });
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
