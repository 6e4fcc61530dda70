// What administrators do: rooms with their rules, and how the services do.

import { expect, test } from './fixtures.js';
import { looks } from './looks.js';

test('others find no administration in the menu, and nothing at its address', async ({ as }) => {
  const page = await as('ann', { hash: '#/admin' });
  await expect(page.getByText('This is for administrators only.')).toBeVisible();
  await expect(page.getByRole('link', { name: 'Rooms and closures' })).toHaveCount(0);
  await page.goto(`${page.url().split('#')[0]}#/operation`);
  await expect(page.getByText('This is for administrators only.')).toBeVisible();
});

test('a room is made with its rules, changed and retired', async ({ stack, as }) => {
  const page = await as('root', { admin: true });
  await page.getByRole('link', { name: 'Rooms and closures' }).click();
  await page.getByRole('button', { name: 'New room' }).click();
  const form = page.getByRole('dialog', { name: 'New room' });
  await form.getByLabel('Name').fill('Ruled');
  await form.getByLabel('Kind').fill('ruled');
  await form.getByLabel('People').fill('6');
  await form.getByLabel('Time zone').fill('Europe/Lisbon');
  await form.getByLabel('Always open').uncheck();
  await form.getByLabel('Monday').fill('8-18');
  await form.getByLabel('Shortest stay (minutes)').fill('30');
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(form.getByText('Please write it as in 08:00-18:00.')).toBeVisible();
  await expect(form.getByLabel('Monday')).toBeFocused();
  await form.getByLabel('Monday').fill('08:00-12:00, 13:00-26:00');
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(form).toBeHidden();
  await expect(page.getByRole('row', { name: /Ruled/ })).toBeVisible();
  const shown = async () => (await stack.query('/v1/rooms?kind=ruled')).items[0];
  expect((await shown()).openingHours).toEqual({
    monday: [
      { opens: '08:00', closes: '12:00' },
      { opens: '13:00', closes: '26:00' },
    ],
  });

  await page.getByRole('button', { name: 'Change Ruled' }).click();
  const change = page.getByRole('dialog', { name: 'Change Ruled' });
  await expect(change.getByLabel('Monday')).toHaveValue('08:00-12:00, 13:00-26:00');
  await change.getByLabel('Monday').fill('');
  await change.getByLabel('Tuesday').fill('09:00-17:00');
  await change.getByLabel('Shortest stay (minutes)').fill('');
  await change.getByRole('button', { name: 'Save' }).click();
  await expect(change).toBeHidden();
  // The form closes before queries show the change.
  await expect
    .poll(async () => {
      const { openingHours, minMinutes, capacity } = await shown();
      return { openingHours, minMinutes, capacity };
    })
    .toEqual({
      openingHours: { tuesday: { opens: '09:00', closes: '17:00' } },
      minMinutes: undefined,
      capacity: 6,
    });

  await page.getByRole('button', { name: 'Retire Ruled' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Retire' }).click();
  await expect(page.getByRole('row', { name: /Ruled/ })).toHaveCount(0);
});

test('a room that somebody else changed is not overwritten: the form shows how it is now', async ({ stack, as }) => {
  const room = await stack.room('Shared', { kind: 'shared' });
  const page = await as('root', { hash: '#/admin', admin: true });
  await page.getByRole('button', { name: 'Change Shared' }).click();
  const form = page.getByRole('dialog', { name: 'Change Shared' });
  await stack.command('PATCH', `/v1/rooms/${room}`, { capacity: 99 });
  await form.getByLabel('Kind').fill('other');
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(form.getByText(/It has been changed meanwhile/)).toBeVisible();
  await expect(form.getByLabel('People')).toHaveValue('99');
  await form.getByLabel('Kind').fill('other');
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(form).toBeHidden();
  await expect
    .poll(async () => {
      const { kind, capacity } = await stack.query(`/v1/rooms/${room}`);
      return [kind, capacity];
    })
    .toEqual(['other', 99]);
});

looks('rooms and closures', async (as, options) => {
  const page = await as('root', { hash: '#/admin', admin: true, ...options });
  await page.getByRole('button', { name: 'New room' }).click();
  await page.getByLabel('Always open').uncheck();
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText('Please check this value.').first()).toBeVisible();
  return page;
});
