// A stack for each file of tests, and pages of people who are signed in. A page that breaks its own policy fails its test.

import { test as base, expect } from '@playwright/test';
import { Stack } from '../stack.js';

export { expect };

/** Serves the page's files as they are now, not as they were compiled in. */
const fromSources = (context) =>
  context.route('**/page/*/**', (route) => {
    const [, file] = /\/page\/[^/]+\/(.*)$/.exec(new URL(route.request().url()).pathname) ?? [];
    return route.fulfill({ path: new URL(`../../../query-service/web/${file}`, import.meta.url).pathname });
  });

/** All dates are those of one moment: midnight may come between two tests. */
const START = Date.now();

/** A date some days ahead, in UTC. @param {number} days */
export const ahead = (days) => new Date(START + days * 86_400_000).toISOString().slice(0, 10);

/** The next year: the whole of it lies ahead. */
export const NEXT_YEAR = new Date(START).getUTCFullYear() + 1;

export const test = base.extend({
  /** Whether both services run on real servers. */
  isReal: [false, { option: true, scope: 'worker' }],
  stack: [
    async ({ isReal }, use) => {
      const stack = isReal ? await Stack.real() : await Stack.start();
      await use(stack);
      await stack.end();
    },
    { scope: 'worker' },
  ],
  /** Opens the page as a user, in a browser profile of its own. */
  as: async ({ browser, stack }, use) => {
    const contexts = [];
    const faults = [];
    await use(async (user, { admin = false, delegate = false, hash = '', ...options } = {}) => {
      const context = await browser.newContext({ timezoneId: 'Europe/Lisbon', locale: 'en-GB', ...options });
      contexts.push(context);
      if (process.env.FROM_SOURCES) await fromSources(context);
      const page = await context.newPage();
      page.on('pageerror', (error) => faults.push(String(error)));
      page.on('console', (message) => {
        if (/Content Security Policy|Trusted/i.test(message.text())) faults.push(message.text());
      });
      page.on('request', (request) => {
        if (![stack.page, stack.commands].some((own) => request.url().startsWith(own))) faults.push(request.url());
      });
      await page.goto(`${stack.page}/${hash}`);
      await page.getByLabel('Name', { exact: true }).fill(user);
      if (admin) await page.getByLabel('As administrator').check();
      if (delegate) await page.getByLabel('As delegate').check();
      await page.getByRole('button', { name: 'Continue' }).click();
      return page;
    });
    for (const context of contexts) await context.close();
    expect(faults).toEqual([]);
  },
});

/** The free cell of a room at a time such as `10:00`. */
export const free = (page, room, from) =>
  page.getByRole('gridcell', { name: new RegExp(`^${room}, ${from} to [0-9:]+, free$`) });
