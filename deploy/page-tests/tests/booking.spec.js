// Booking: by mouse and keyboard, in a race, twice, and when answers are lost.

import { ahead, expect, free, test } from './fixtures.js';

const day = ahead(3);

test('a stay is dragged, booked and confirmed, and others see it within a second without its names', async ({
  stack,
  as,
}) => {
  const room = await stack.room('Drag');
  const [ann, ben] = [await as('ann', { hash: `#/day?date=${day}` }), await as('ben', { hash: `#/day?date=${day}` })];
  await expect(free(ben, 'Drag', '10:00')).toBeVisible();
  await free(ann, 'Drag', '10:00').hover();
  await ann.mouse.down();
  await free(ann, 'Drag', '11:00').hover();
  await ann.mouse.up();
  const form = ann.getByRole('dialog', { name: 'Book Drag' });
  await expect(form.getByLabel('From', { exact: true })).toHaveValue('10:00');
  await expect(form.getByLabel('To', { exact: true })).toHaveValue('11:30');
  await form.getByLabel('Title').fill('Secret plan');
  await form.getByLabel('People').fill('3');
  await form.getByRole('button', { name: 'Book' }).click();
  await expect(form).toBeHidden();
  const others = ben.getByRole('gridcell', { name: 'Drag, 10:00 to 11:30, reserved', exact: true });
  await expect(others).toBeVisible({ timeout: 1_500 });
  await expect(ben.getByText('Secret plan')).toHaveCount(0);
  await expect(ann.getByRole('gridcell', { name: 'Drag, 10:00 to 11:30, Secret plan, reserved by ann' })).toBeVisible();
  await expect(ann.getByRole('status').filter({ hasText: 'Confirmed: Drag' })).toBeVisible();
  const { items } = await stack.query(`/v1/rooms/${room}/schedule?from=${day}T00:00:00Z&to=${day}T23:00:00Z`);
  expect(items.map(({ people, title }) => [people, title])).toEqual([[3, 'Secret plan']]);
});

test('a whole booking is done by keyboard alone, and cancelled', async ({ stack, as }) => {
  await stack.room('Keys');
  const page = await as('kim', { hash: `#/day?date=${day}` });
  await expect(free(page, 'Keys', '9:00')).toBeVisible();
  for (let press = 0; press < 40; press += 1) {
    await page.keyboard.press('Tab');
    if (await page.evaluate(() => document.activeElement?.getAttribute('role') === 'gridcell')) break;
  }
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? '');
  for (let press = 0; press < 20 && !(await focused()).startsWith('Keys'); press += 1)
    await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Home');
  for (let press = 0; press < 60 && !(await focused()).includes('14:00 to'); press += 1)
    await page.keyboard.press('ArrowRight');
  expect(await focused()).toBe('Keys, 14:00 to 14:30, free');
  await page.keyboard.press('Shift+ArrowRight');
  await page.keyboard.press('Shift+ArrowRight');
  await page.keyboard.press('Enter');
  const form = page.getByRole('dialog', { name: 'Book Keys' });
  await expect(form.getByLabel('To', { exact: true })).toHaveValue('15:30');
  await form.getByLabel('Title').focus();
  await page.keyboard.type('By hand');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('gridcell', { name: 'Keys, 14:00 to 15:30, By hand, reserved by kim' })).toBeVisible();
  await page.getByRole('link', { name: 'My reservations' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('group', { name: 'By hand' }).getByRole('button', { name: 'Cancel reservation' }).focus();
  await page.keyboard.press('Enter');
  const sure = page.getByRole('dialog', { name: 'Cancel reservation' });
  await sure.getByRole('button', { name: 'Cancel reservation' }).focus();
  await page.keyboard.press('Enter');
  await expect(page.getByText('You have no reservations ahead.')).toBeVisible();
});

test('of two browsers that race for a slot one wins, and the other sees what is in the way and takes another room', async ({
  stack,
  as,
}) => {
  await stack.room('Race A', { kind: 'race' });
  await stack.room('Race B', { kind: 'race' });
  const both = [];
  for (const user of ['ann', 'ben']) {
    const page = await as(user, { hash: `#/day?date=${day}&kind=race` });
    await free(page, 'Race A', '10:00').click();
    await page.getByRole('dialog').getByLabel('Title').fill(`of ${user}`);
    both.push(page);
  }
  await Promise.all(both.map((page) => page.getByRole('dialog').getByRole('button', { name: 'Book' }).click()));
  const refused = async (page) => page.getByText('Another reservation is in the way.').isVisible();
  await expect.poll(async () => (await Promise.all(both.map(refused))).filter(Boolean).length).toBe(1);
  const loser = (await refused(both[0])) ? both[0] : both[1];
  await expect(loser.getByText(/^In the way: /)).toBeVisible();
  await loser.getByRole('button', { name: /^Race B, / }).click();
  await loser.getByRole('dialog', { name: 'Book Race B' }).getByRole('button', { name: 'Book' }).click();
  await expect(loser.getByRole('gridcell', { name: /^Race B, 10:00 to 11:00, of / })).toBeVisible();
});

test('a double click is one booking', async ({ stack, as }) => {
  const room = await stack.room('Twice');
  const page = await as('ann', { hash: `#/day?date=${day}` });
  await free(page, 'Twice', '10:00').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Book' }).dblclick();
  await expect(page.getByRole('gridcell', { name: /^Twice, 10:00 to 11:00, no title/ })).toBeVisible();
  const { items } = await stack.query(`/v1/rooms/${room}/schedule?from=${day}T00:00:00Z&to=${day}T23:00:00Z`);
  expect(items).toHaveLength(1);
});

test('a lost answer is looked up by its key, and is said to be unknown until it is found', async ({ stack, as }) => {
  const room = await stack.room('Lost');
  const page = await as('ann', { hash: `#/day?date=${day}` });
  await free(page, 'Lost', '10:00').click();
  let answers = 'lost';
  const keys = new Set();
  await page.route(`${stack.commands}/**`, async (route) => {
    if (route.request().method() === 'OPTIONS') return route.continue();
    keys.add(route.request().headers()['idempotency-key']);
    if (answers === 'good') return route.continue();
    await route.fetch();
    return route.abort('connectionreset');
  });
  await page.getByRole('dialog').getByRole('button', { name: 'Book' }).click();
  await expect(page.getByText('The answer was lost. Looking up what became of it…')).toBeVisible();
  await expect(page.getByText('It is not known whether it was done.')).toBeVisible({ timeout: 15_000 });
  answers = 'good';
  await page.getByRole('button', { name: 'Look again' }).click();
  await expect(page.getByRole('gridcell', { name: /^Lost, 10:00 to 11:00, no title/ })).toBeVisible();
  expect(keys.size).toBe(1);
  const { items } = await stack.query(`/v1/rooms/${room}/schedule?from=${day}T00:00:00Z&to=${day}T23:00:00Z`);
  expect(items).toHaveLength(1);
});

test('refusals stand at their fields in words, and the first one has the focus', async ({ stack, as }) => {
  await stack.room('Rules', { capacity: 4, minMinutes: 30, maxMinutes: 120 });
  const page = await as('ann', { hash: `#/day?date=${day}` });
  await free(page, 'Rules', '10:00').click();
  const form = page.getByRole('dialog');
  const people = form.getByLabel('People');
  await people.fill('9');
  await form.getByRole('button', { name: 'Book' }).click();
  await expect(form.getByText('The room takes at most 4 people.')).toBeVisible();
  await expect(people).toBeFocused();
  await expect(people).toHaveAttribute('aria-invalid', 'true');
  await people.fill('2');
  await form.getByLabel('To', { exact: true }).fill('13:00');
  await form.getByRole('button', { name: 'Book' }).click();
  await expect(form.getByText('The longest stay is 120 minutes.')).toBeVisible();
  await form.getByLabel('To', { exact: true }).fill('09:00');
  await form.getByRole('button', { name: 'Book' }).click();
  await expect(form.getByText('The end must lie after the beginning.')).toBeVisible();
});

test('a service that is not available changes nothing, says so, and the same form books later', async ({
  stack,
  as,
}) => {
  const room = await stack.room('Away');
  const page = await as('ann', { hash: `#/day?date=${day}` });
  await free(page, 'Away', '10:00').click();
  let isAway = true;
  await page.route(`${stack.commands}/**`, (route) => {
    if (route.request().method() === 'OPTIONS' || !isAway) return route.continue();
    return route.fulfill({
      status: 503,
      headers: {
        'Access-Control-Allow-Origin': stack.page,
        'Content-Type': 'application/problem+json',
        'Retry-After': '1',
      },
      body: JSON.stringify({ type: '/problems/unavailable', title: 'The service is not available', status: 503 }),
    });
  });
  const button = page.getByRole('dialog').getByRole('button', { name: 'Book' });
  await button.click();
  await expect(page.getByText('The service is not available now.')).toBeVisible();
  isAway = false;
  await button.click();
  await expect(page.getByRole('gridcell', { name: /^Away, 10:00 to 11:00, no title/ })).toBeVisible();
  const { items } = await stack.query(`/v1/rooms/${room}/schedule?from=${day}T00:00:00Z&to=${day}T23:00:00Z`);
  expect(items).toHaveLength(1);
});

for (const [name, user, role] of [
  ['an administrator', 'root', { admin: true }],
  ['a delegate', 'dora', { delegate: true }],
]) {
  test(`${name} books for somebody, who sees by whom and is not asked for whom`, async ({ stack, as }) => {
    const room = `Behalf ${user}`;
    await stack.room(room, { kind: room });
    const hash = `#/day?date=${day}&kind=${room}`;
    const page = await as(user, { hash, ...role });
    await free(page, room, '10:00').click();
    const form = page.getByRole('dialog', { name: `Book ${room}` });
    await form.getByLabel('Title').fill('Visit');
    await form.getByLabel(/^On behalf of/).fill(`olga ${user}`);
    await form.getByRole('button', { name: 'Book' }).click();
    await expect(
      page.getByRole('gridcell', { name: `${room}, 10:00 to 11:00, Visit, reserved by olga ${user}` }),
    ).toBeVisible();
    const olga = await as(`olga ${user}`, { hash: '#/mine' });
    const card = olga.getByRole('listitem').filter({ has: olga.getByRole('heading', { name: 'Visit' }) });
    await expect(card).toContainText(`booked by ${user}`);
    await olga.goto(`${stack.page}/${hash}`);
    await free(olga, room, '9:00').click();
    await expect(olga.getByRole('dialog').getByLabel('Title')).toBeVisible();
    await expect(olga.getByLabel(/^On behalf of/)).toHaveCount(0);
  });
}
