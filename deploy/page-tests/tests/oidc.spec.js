// Sign-in at a real OpenID provider: code with PKCE, renewal, reload, forged answers, signing out.

import { createServer } from 'node:http';
import { expect, test } from '@playwright/test';
import Provider from 'oidc-provider';
import { Stack } from '../stack.js';

const AUDIENCE = 'urn:rooms';

/** @type {Stack} */
let stack;
/** @type {import('node:http').Server} */
let server;
const requests = [];

test.beforeAll(async () => {
  server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  stack = await Stack.start(
    {
      DEV_HEADERS: 'false',
      JWKS_URL: `${issuer}/jwks`,
      JWT_ISSUER: issuer,
      JWT_AUDIENCE: AUDIENCE,
      PAGE_CLIENT_ID: 'page',
    },
    async (starting) => {
      const provider = new Provider(issuer, {
        clients: [
          {
            client_id: 'page',
            token_endpoint_auth_method: 'none',
            grant_types: ['authorization_code', 'refresh_token'],
            response_types: ['code'],
            redirect_uris: [`${starting.page}/`],
            post_logout_redirect_uris: [`${starting.page}/`],
          },
        ],
        scopes: ['openid', 'offline_access'],
        pkce: { required: () => true },
        clientBasedCORS: () => true,
        issueRefreshToken: async () => true,
        rotateRefreshToken: true,
        findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
        features: {
          devInteractions: { enabled: true },
          revocation: { enabled: true },
          resourceIndicators: {
            enabled: true,
            defaultResource: () => AUDIENCE,
            useGrantedResource: () => true,
            getResourceServerInfo: () => ({
              scope: '',
              audience: AUDIENCE,
              accessTokenTTL: 33,
              accessTokenFormat: 'jwt',
              jwt: { sign: { alg: 'RS256' } },
            }),
          },
        },
      });
      provider.use(async (context, next) => {
        await next();
        requests.push(
          `${context.method} ${context.path} ${context.oidc?.params?.grant_type ?? context.oidc?.params?.prompt ?? ''}`.trim(),
        );
      });
      server.on('request', provider.callback());
    },
  );
});

test.afterAll(async () => {
  await stack.end();
  server.closeAllConnections();
  server.close();
});

/** Signs in through the provider's own forms. */
async function signIn(page, user = 'ann') {
  await page.goto(stack.page);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByPlaceholder('Enter any login').fill(user);
  await page.getByPlaceholder('and password').fill('x');
  await page.getByRole('button', { name: 'Sign-in' }).click();
  await page.getByRole('button', { name: 'Continue' }).click();
  await expect(page.getByRole('button', { name: `Sign out ${user}` })).toBeVisible();
}

test('one signs in with PKCE, and no token is in the address or kept by the browser', async ({ page }) => {
  const refused = [];
  page.on('console', (message) => message.text().includes('Content Security Policy') && refused.push(message.text()));
  await signIn(page);
  expect(page.url()).toBe(`${stack.page}/`);
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  expect(kept).not.toMatch(/eyJ|code|verifier/);
  await expect(page.getByRole('heading', { level: 1, name: /^Rooms on/ })).toBeVisible();
  expect(refused).toEqual([]);
});

test('a token is renewed silently, once for all who need it', async ({ page }) => {
  await signIn(page);
  const before = requests.filter((request) => request.endsWith('refresh_token')).length;
  // Three seconds after it was given, the token ends within the time in which it is renewed.
  await page.waitForTimeout(3_500);
  await page.getByRole('link', { name: 'My reservations' }).click();
  await expect(page.getByText('You have no reservations ahead.')).toBeVisible();
  expect(requests.filter((request) => request.endsWith('refresh_token')).length).toBe(before + 1);
});

test('a provider that does not answer is asked again, and one that gives no new token ends the sign-in', async ({
  page,
}) => {
  await signIn(page);
  let answer = (route) => route.abort('connectionrefused');
  await page.route('**/token', (route) => answer(route));
  await page.waitForTimeout(3_500);
  await page.getByRole('link', { name: 'My reservations' }).click();
  await expect(page.getByText('The service did not answer.').first()).toBeVisible();
  answer = (route) =>
    route.fulfill({
      status: 400,
      headers: { 'Access-Control-Allow-Origin': stack.page },
      json: { error: 'invalid_grant' },
    });
  await expect(page.getByRole('button', { name: 'Sign in' })).toBeVisible({ timeout: 20_000 });
});

test('a reload signs in again without a question, and signing out ends that', async ({ page }) => {
  await signIn(page);
  await page.reload();
  await expect(page.getByRole('button', { name: 'Sign out ann' })).toBeVisible();
  await page.getByRole('button', { name: 'Sign out ann' }).click();
  await page.getByRole('button', { name: 'Yes, sign me out' }).click();
  await expect(page.getByRole('button', { name: 'Sign in' })).toBeVisible();
  await page.reload();
  await expect(page.getByRole('button', { name: 'Sign in' })).toBeVisible();
});

test('an answer that was not asked for signs nobody in', async ({ page }) => {
  await page.goto(`${stack.page}/?code=stolen&state=forged`);
  await expect(page.getByRole('alert')).toBeVisible();
  expect(page.url()).toBe(`${stack.page}/`);
  expect(requests.filter((request) => request.includes('stolen'))).toEqual([]);
});
