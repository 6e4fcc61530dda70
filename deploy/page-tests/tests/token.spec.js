// Sign-in with a token, where there is neither a provider nor development: as in the containers.

import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { Stack } from '../stack.js';
import { ahead, free } from './fixtures.js';

/** @type {Stack} */
let stack;
let folder = '';
const { privateKey, publicKey } = generateKeyPairSync('ed25519');

/** A token that ends in so many seconds. */
function tokenOf(user, seconds, roles = []) {
  const claims = { sub: user, roles, exp: Math.floor(Date.now() / 1000) + seconds };
  const parts = [{ alg: 'EdDSA', typ: 'JWT', kid: 'test' }, claims];
  const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${text}.${sign(null, Buffer.from(text), privateKey).toString('base64url')}`;
}

test.beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'token-'));
  const key = { ...publicKey.export({ format: 'jwk' }), kid: 'test', alg: 'EdDSA', use: 'sig' };
  await writeFile(join(folder, 'jwks.json'), JSON.stringify({ keys: [key] }));
  stack = await Stack.start({ DEV_HEADERS: 'false', JWKS_FILE: join(folder, 'jwks.json') });
});

test.afterAll(async () => {
  await stack.end();
  await rm(folder, { recursive: true });
});

async function enter(page, token) {
  await page.getByLabel('Token', { exact: true }).fill(token);
  await page.getByRole('button', { name: 'Continue' }).click();
}

test('a token signs in, is kept nowhere, and a wrong one is told at its field', async ({ page }) => {
  await page.goto(stack.page);
  for (const wrong of ['nonsense', 'non sense\u0000ö', tokenOf('ann', -3600)]) {
    await enter(page, wrong);
    await expect(page.getByText('The service does not take this token.')).toBeVisible();
    await expect(page.getByLabel('Token', { exact: true })).toHaveAttribute('aria-invalid', 'true');
  }
  await enter(page, tokenOf('ann', 600, ['admin']));
  await expect(page.getByRole('button', { name: 'Sign out ann' })).toBeVisible();
  await page.getByRole('link', { name: 'Rooms and closures' }).click();
  await page.getByRole('button', { name: 'New room' }).click();
  const form = page.getByRole('dialog', { name: 'New room' });
  await form.getByLabel('Name').fill('By token');
  await form.getByLabel('Kind').fill('token');
  await form.getByLabel('People').fill('4');
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('row', { name: /By token/ })).toBeVisible();
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  expect(kept).not.toContain('eyJ');
  await page.reload();
  await expect(page.getByLabel('Token', { exact: true })).toBeVisible();
});

test('a delegate books for somebody, who sees by whom and is not asked for whom', async ({ page }) => {
  const registered = await fetch(`${stack.commands}/v1/rooms`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${tokenOf('root', 600, ['admin'])}`,
      'Content-Type': 'application/json',
      'Idempotency-Key': crypto.randomUUID(),
    },
    body: JSON.stringify({ name: 'Delegated', kind: 'delegated', capacity: 8, timeZone: 'Europe/Lisbon' }),
  });
  expect(registered.status).toBe(201);
  await page.goto(`${stack.page}/#/day?date=${ahead(3)}&kind=delegated`);
  await enter(page, tokenOf('dora', 600, ['delegate']));
  await free(page, 'Delegated', '10:00').click();
  const form = page.getByRole('dialog', { name: 'Book Delegated' });
  await form.getByLabel('Title').fill('Visit');
  await form.getByLabel(/^On behalf of/).fill('olga');
  await form.getByRole('button', { name: 'Book' }).click();
  await expect(form).toBeHidden();
  await page.getByRole('button', { name: 'Sign out dora' }).click();

  await enter(page, tokenOf('olga', 600));
  await expect(page.getByRole('gridcell', { name: /Visit, reserved by olga$/ })).toBeVisible();
  await free(page, 'Delegated', '9:00').click();
  await expect(form.getByLabel('Title')).toBeVisible();
  await expect(form.getByLabel(/^On behalf of/)).toHaveCount(0);
  await form.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('link', { name: 'My reservations' }).click();
  const card = page.getByRole('listitem').filter({ has: page.getByRole('heading', { name: 'Visit' }) });
  await expect(card).toContainText('booked by dora');
});

test('when the token ends, the page asks for another one', async ({ page }) => {
  await page.goto(stack.page);
  // 30 s of leeway are added.
  await enter(page, tokenOf('ben', -25));
  await expect(page.getByRole('button', { name: 'Sign out ben' })).toBeVisible();
  // Its stream ends with the token, and the next request is refused.
  await expect(page.getByLabel('Token', { exact: true })).toBeVisible({ timeout: 30_000 });
});
