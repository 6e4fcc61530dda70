// Tests that every screen passes: axe in light and dark, 320 pixels, twice the text size.

import AxeBuilder from '@axe-core/playwright';
import { expect, test } from './fixtures.js';

/**
 * Registers them for a screen.
 *
 * @param {string} name
 * @param {(as: any, options: any) => Promise<any>} open Opens the screen with its content; gives the page.
 */
export function looks(name, open) {
  for (const colorScheme of ['light', 'dark']) {
    test(`axe finds nothing on the screen ${name} in ${colorScheme}`, async ({ as }) => {
      const page = await open(as, { colorScheme, reducedMotion: 'reduce' });
      const { violations } = await new AxeBuilder({ page }).analyze();
      expect(violations.map(({ id, nodes }) => [id, nodes.map(({ target }) => target)])).toEqual([]);
    });
  }

  test(`the screen ${name} fits 320 pixels, also at twice the text size`, async ({ as }) => {
    const page = await open(as, { viewport: { width: 320, height: 640 } });
    const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(await overflow()).toBeLessThanOrEqual(0);
    await page.setViewportSize({ width: 640, height: 900 });
    await page.evaluate(() => document.documentElement.style.setProperty('font-size', '200%'));
    expect(await overflow()).toBeLessThanOrEqual(0);
  });
}

/** Rooms and browsers of these tests have one clock. */
export const UTC = { timezoneId: 'UTC' };
export const IN_UTC = { timeZone: 'Etc/UTC' };
