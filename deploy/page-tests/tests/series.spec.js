// Reservations that repeat: preview, what doesn't fit, and cancelling several.

import { ahead, expect, free, test } from './fixtures.js';

test('a series shows what does not fit, is booked without it, and is cancelled from one occurrence on', async ({
  stack,
  as,
}) => {
  const [day, third, fourth] = [ahead(10), ahead(24), ahead(31)];
  const room = await stack.room('Series', { kind: 'series', timeZone: 'Atlantic/Reykjavik' });
  await stack.reserve(room, `${third}T10:30:00Z`, `${third}T11:30:00Z`);
  const closure = { rooms: [room], from: `${fourth}T09:00:00Z`, to: `${fourth}T12:00:00Z`, reason: 'Painting' };
  await stack.command('POST', '/v1/closures', closure);
  const page = await as('sue', { hash: `#/day?date=${day}&kind=series` });
  await free(page, 'Series', '10:00').click();
  const form = page.getByRole('dialog', { name: 'Book Series' });
  await form.getByLabel('Title').fill('Weekly');
  await form.getByLabel('Repeat').selectOption('Each week on this weekday');
  await form.getByLabel('Times').fill('4');
  await form.getByRole('button', { name: 'Preview' }).click();
  await expect(form.getByText('2 fit.')).toBeVisible();
  await expect(form.getByRole('listitem')).toHaveText([/10:00.*11:00: reserved$/, /10:00.*11:00: closed$/]);
  await form.getByRole('button', { name: 'Book' }).click();
  await expect(form.getByText('Some of them don’t fit.')).toBeVisible();
  await form.getByLabel('Leave out what doesn’t fit').check();
  await form.getByRole('button', { name: 'Book' }).click();
  await expect(form).toBeHidden();

  await page.getByRole('link', { name: 'My reservations' }).click();
  const cards = page.getByRole('listitem').filter({ has: page.getByRole('heading', { name: 'Weekly' }) });
  await expect(cards).toHaveCount(2);
  await cards.nth(1).getByRole('button', { name: 'Cancel reservation' }).click();
  const sure = page.getByRole('dialog', { name: 'Cancel reservation' });
  await sure.getByLabel('This and the following ones').check();
  await sure.getByRole('button', { name: 'Cancel reservation' }).click();
  await expect(cards).toHaveCount(1);
});

test('a series is changed as a whole, and from one reservation on', async ({ stack, as }) => {
  const day = ahead(10);
  const room = await stack.room('Whole', { kind: 'whole', timeZone: 'Atlantic/Reykjavik' });
  const recurrence = 'FREQ=DAILY;COUNT=4';
  const series = { from: `${day}T10:00:00Z`, to: `${day}T11:00:00Z`, people: 2, title: 'Standing', recurrence };
  await stack.command('POST', `/v1/rooms/${room}/series`, series, { user: 'sam', admin: false });
  const page = await as('sam', { hash: '#/mine' });
  const cards = (title) => page.getByRole('listitem').filter({ has: page.getByRole('heading', { name: title }) });
  await expect(cards('Standing')).toHaveCount(4);
  const change = async (card, extent, fill) => {
    await card.getByRole('button', { name: 'Change' }).click();
    const form = page.getByRole('dialog', { name: 'Change reservation in Whole' });
    for (const [label, value] of Object.entries(fill)) await form.getByLabel(label, { exact: true }).fill(value);
    await form.getByLabel(extent).check();
    await form.getByRole('button', { name: 'Save' }).click();
    return form;
  };
  const times = async () => {
    const path = `/v1/rooms/${room}/schedule?from=${day}T00:00:00Z&to=${ahead(14)}T00:00:00Z`;
    return (await stack.query(path)).items.map(
      ({ from, to, title }) => `${from.slice(11, 16)} ${to.slice(11, 16)} ${title}`,
    );
  };
  // The times in the form are those of the second one: all move as far.
  await change(cards('Standing').nth(1), 'All of the series', { From: '12:00', To: '13:30' });
  await expect.poll(times).toEqual(Array(4).fill('12:00 13:30 Standing'));
  await expect(cards('Standing').nth(2)).toContainText('12:00');
  await change(cards('Standing').nth(2), 'This and the following ones', { Title: 'Later' });
  await expect(cards('Later')).toHaveCount(2);
  await expect(cards('Standing')).toHaveCount(2);
  // All or none: what is in the way is named.
  await stack.reserve(room, `${ahead(12)}T15:00:00Z`, `${ahead(12)}T16:00:00Z`);
  const form = await change(cards('Standing').nth(0), 'All of the series', { From: '15:30', To: '16:30' });
  await expect(form.getByText('Some of them don’t fit.')).toBeVisible();
  await expect(form.getByRole('listitem')).toHaveText([/15:30.*16:30: reserved$/]);
  expect(await times()).toHaveLength(5);
});
