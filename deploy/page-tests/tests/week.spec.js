// A room's week: what is free, reserved and closed, live.

import { ahead, expect, test } from './fixtures.js';
import { IN_UTC, looks, UTC } from './looks.js';

/** The Tuesday of a week ahead. */
const tuesday = (() => {
  const date = new Date(`${ahead(14)}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() - ((date.getUTCDay() + 6) % 7) + 1);
  return date.toISOString().slice(0, 10);
})();

let room = '';

test.beforeAll(async ({ stack }) => {
  const open = { opens: '08:00', closes: '18:00' };
  room = await stack.room('Week', {
    kind: 'week',
    ...IN_UTC,
    openingHours: { monday: open, tuesday: open, wednesday: open },
    minMinutes: 30,
  });
  await stack.reserve(room, `${tuesday}T10:00:00Z`, `${tuesday}T11:30:00Z`, { user: 'ann', title: 'Planning' });
  await stack.reserve(room, `${tuesday}T14:00:00Z`, `${tuesday}T15:00:00Z`, { user: 'ben', title: 'Hidden' });
});

const hash = () => `#/week?room=${room}&date=${tuesday}`;
const dayOf = (page, name) => page.getByRole('region', { name: new RegExp(`^${name}`) });

test('seven days show free, reserved and closed time, others without names', async ({ as }) => {
  const page = await as('ann', { hash: hash(), ...UTC });
  await expect(dayOf(page, 'Tue').getByRole('listitem')).toHaveText([
    /^0?0:00 – 0?8:00\s+Closed$/,
    /^0?8:00 – 10:00\s+Free$/,
    /^10:00 – 11:30\s+Planning \(ann\)$/,
    /^11:30 – 14:00\s+Free$/,
    /^14:00 – 15:00\s+Reserved$/,
    /^15:00 – 18:00\s+Free$/,
    /^18:00 – 0?0:00\s+Closed$/,
  ]);
  await expect(dayOf(page, 'Sun').getByRole('listitem')).toHaveText([/Closed$/]);
  await expect(page.getByText('Hidden')).toHaveCount(0);
  await expect(page.getByText('The shortest stay is 30 minutes.')).toBeVisible();
});

test('a key books the beginning of free time, and the new stay appears', async ({ as }) => {
  const page = await as('kim', { hash: hash(), ...UTC });
  const free = dayOf(page, 'Mon').getByRole('button', { name: /0?8:00 – 18:00\s+Free/ });
  await free.focus();
  await page.keyboard.press('Enter');
  const form = page.getByRole('dialog', { name: 'Book Week' });
  await expect(form.getByLabel('From', { exact: true })).toHaveValue('08:00');
  await expect(form.getByLabel('To', { exact: true })).toHaveValue('09:00');
  await form.getByLabel('Title').fill('Early');
  await form.getByRole('button', { name: 'Book' }).click();
  await expect(dayOf(page, 'Mon').getByRole('button', { name: /0?8:00 – 0?9:00\s+Early/ })).toBeVisible();
});

test('what others book appears by itself', async ({ stack, as }) => {
  const page = await as('lee', { hash: hash(), ...UTC });
  await expect(dayOf(page, 'Wed').getByRole('button', { name: /0?8:00 – 18:00\s+Free/ })).toBeVisible();
  const wednesday = new Date(Date.parse(`${tuesday}T00:00:00Z`) + 86_400_000).toISOString().slice(0, 10);
  await stack.reserve(room, `${wednesday}T12:00:00Z`, `${wednesday}T13:00:00Z`);
  await expect(dayOf(page, 'Wed').getByText(/12:00 – 13:00/)).toBeVisible({ timeout: 2_000 });
});

test('a whole day is told as one, for a stay too, and so are the days of a rule', async ({ stack, as }) => {
  const long = await stack.room('Long', { kind: 'long', ...IN_UTC, maxMinutes: 60 * 1440 });
  const until = new Date(Date.parse(`${tuesday}T00:00:00Z`) + 2 * 86_400_000).toISOString().slice(0, 10);
  await stack.reserve(long, `${tuesday}T12:00:00Z`, `${until}T12:00:00Z`);
  const page = await as('lee', { hash: `#/week?room=${long}&date=${tuesday}`, ...UTC });
  await expect(dayOf(page, 'Tue').getByRole('listitem')).toHaveText([
    /^0?0:00 – 12:00\s+Free$/,
    /^12:00 – 0?0:00\s+Reserved$/,
  ]);
  await expect(dayOf(page, 'Wed').getByRole('listitem')).toHaveText([/^All day\s+Reserved$/]);
  await expect(dayOf(page, 'Fri').getByRole('listitem')).toHaveText([/^All day\s+Free$/]);
  await expect(page.getByText('The longest stay is 60 days.')).toBeVisible();
});

test('the day leads to the week of a room, and the weeks follow one another', async ({ as }) => {
  const page = await as('ann', { hash: `#/day?date=${tuesday}&kind=week`, ...UTC });
  await page.getByRole('link', { name: 'Week' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toContainText('Week, week from');
  await page.getByRole('button', { name: 'Next week' }).click();
  await expect(dayOf(page, 'Tue').getByRole('listitem')).toHaveText([/Closed$/, /^0?8:00 – 18:00\s+Free$/, /Closed$/]);
});

looks('week', async (as, options) => {
  const page = await as('ann', { hash: hash(), ...UTC, ...options });
  await expect(page.getByText('Planning (ann)')).toBeVisible();
  return page;
});
