import { defineConfig, devices } from '@playwright/test';

const hasServers = ['MYSQL_URL', 'KAFKA_BROKERS', 'MONGODB_URL'].every((name) => process.env[name]);

/**
 * On real servers runs again what they may do otherwise: what is seen how soon after a command, live changes, cuts and
 * restarts, the past, sums, and what administrators are shown. How screens look, words and sign-in do not depend on them.
 */
const real = {
  name: 'real',
  testMatch: ['booking', 'day', 'mine', 'series', 'closures', 'past', 'statistics', 'admin', 'operation'].map(
    (name) => `${name}.spec.js`,
  ),
  grepInvert: /axe finds nothing|pixels, also at twice|little scripting|nothing shifts/,
  use: { isReal: true },
};

export default defineConfig({
  testDir: 'tests',
  timeout: 60_000,
  expect: { timeout: 10_000 },
  workers: 1,
  fullyParallel: false,
  forbidOnly: true,
  retries: 0,
  reporter: [['list']],
  projects: [{ name: 'embedded' }, ...(hasServers ? [real] : [])],
  use: {
    ...devices['Desktop Chrome'],
    locale: 'en-GB',
    timezoneId: 'Europe/Lisbon',
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-dev-shm-usage'],
    },
  },
});
