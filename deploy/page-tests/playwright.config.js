import { defineConfig, devices } from '@playwright/test';

const hasServers = ['MYSQL_URL', 'KAFKA_BROKERS', 'MONGODB_URL'].every((name) => process.env[name]);

export default defineConfig({
  testDir: 'tests',
  timeout: 60_000,
  expect: { timeout: 10_000 },
  workers: 1,
  fullyParallel: false,
  forbidOnly: true,
  retries: 0,
  reporter: [['list']],
  projects: [
    { name: 'embedded' },
    // What does not restart the server.
    ...(hasServers ? [{ name: 'real', testMatch: ['booking.spec.js', 'mine.spec.js'], use: { isReal: true } }] : []),
  ],
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
