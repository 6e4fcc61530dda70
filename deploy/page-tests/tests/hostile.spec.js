// Hostile text in every field and from every source: it is shown as text, and never becomes code.

import { ahead, expect, test } from './fixtures.js';
import { IN_UTC, UTC } from './looks.js';

const EVIL = '"><img src=x onerror="window.evil=1"><script>window.evil=1</script>{{7*7}}';
const day = ahead(12);
let room = '';

test.beforeAll(async ({ stack }) => {
  room = await stack.room(EVIL, {
    kind: EVIL,
    building: EVIL,
    floor: 'javascript:window.evil=1',
    attributes: [EVIL],
    ...IN_UTC,
  });
  const from = `${day}T08:00:00Z`;
  await stack.reserve(room, from, `${day}T09:00:00Z`, { user: EVIL, title: EVIL });
  const body = { rooms: [room], from: `${day}T10:00:00Z`, to: `${day}T11:00:00Z`, reason: EVIL };
  const headers = { 'X-User': 'root', 'X-Roles': 'admin', 'Content-Type': 'application/json' };
  const key = { 'Idempotency-Key': crypto.randomUUID() };
  const closed = await fetch(`${stack.commands}/v1/closures`, {
    method: 'POST',
    headers: { ...headers, ...key },
    body: JSON.stringify(body),
  });
  expect(closed.status).toBe(200);
});

/** Each screen, and where the hostile text appears on it. */
const SCREENS = {
  day: [() => `#/day?date=${day}&kind=${encodeURIComponent(EVIL)}`, 'gridcell'],
  week: [() => `#/week?room=${room}&date=${day}`, 'heading'],
  find: [() => `#/find?minutes=30&date=${day}&kind=${encodeURIComponent(EVIL)}`, 'heading'],
  mine: [() => '#/mine', 'heading'],
  past: [() => `#/past?room=${room}&date=${day}&days=1`, 'listitem'],
  statistics: [() => `#/statistics?from=${day}&until=${day}`, 'row'],
  notifications: [() => '#/notifications', 'heading'],
  admin: [() => '#/admin', 'row'],
  closures: [() => '#/admin?part=closures', 'listitem'],
  operation: [() => '#/operation', 'heading'],
};

for (const [name, [address, role]] of Object.entries(SCREENS)) {
  test(`hostile text stays text on the screen ${name}, and in each of its fields`, async ({ as }) => {
    const page = await as(EVIL, { hash: address(), admin: true, ...UTC });
    const shown = ['notifications', 'operation'].includes(name) ? {} : { hasText: '<img src=x' };
    await expect(page.getByRole(role).filter(shown).first()).toBeVisible();
    if (name === 'admin') await page.getByRole('button', { name: 'New room' }).click();
    if (name === 'day') await page.getByRole('gridcell', { name: /, 12:00 to 12:30, free$/ }).click();
    const hasDialog = name === 'admin' || name === 'day';
    const within = hasDialog ? page.getByRole('dialog') : page;
    if (hasDialog) await expect(within).toBeVisible();
    const texts = 'input:is(:not([type]), [type=text], [type=search], [type=url], [type=email]):not([readonly])';
    const fields = await within.locator(texts).all();
    for (const field of fields) await field.fill(EVIL);
    await fields.at(-1)?.press('Enter');
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 200)));
    expect(
      await page.evaluate(() => [window.evil, document.querySelectorAll('img, script:not([src])').length]),
    ).toEqual([
      undefined,
      // The import map.
      1,
    ]);
  });
}
