// Accessibility and layout: axe in light and dark, narrow screens, zoom, reduced motion, languages.

import AxeBuilder from '@axe-core/playwright';
import { ahead, expect, free, test } from './fixtures.js';

const day = ahead(7);

/** Each screen, ready to be looked at. */
const SCREENS = {
  'sign-in': async (page) => {
    await page.getByRole('button', { name: /^Sign out/ }).click();
    await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible();
  },
  day: async (page) => {
    await expect(page.getByRole('gridcell', { name: /Seen by axe/ })).toBeVisible();
  },
  book: async (page) => {
    await free(page, 'Axe', '10:00').click();
    await page.getByRole('dialog').getByLabel('People').fill('99');
    await page.getByRole('dialog').getByRole('button', { name: 'Book' }).click();
    await expect(page.getByText('The room takes at most 8 people.')).toBeVisible();
  },
  mine: async (page) => {
    await page.getByRole('link', { name: 'My reservations' }).click();
    await expect(page.getByRole('heading', { name: 'Seen by axe' })).toBeVisible();
    await expect(page.getByText('Booked')).toBeVisible();
  },
  history: async (page) => {
    await SCREENS.mine(page);
    await page.getByRole('button', { name: 'History', exact: true }).click();
    await expect(page.getByRole('dialog').getByRole('listitem')).toHaveCount(1);
  },
};

test.beforeAll(async ({ stack }) => {
  const openingHours = { monday: { opens: '08:00', closes: '20:00' } };
  for (const name of ['tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'])
    openingHours[name] = openingHours.monday;
  const room = await stack.room('Axe', { openingHours, kind: 'axe' });
  await stack.reserve(room, `${day}T14:00:00Z`, `${day}T15:00:00Z`, { user: 'axe', title: 'Seen by axe' });
  await stack.reserve(room, `${day}T16:00:00Z`, `${day}T17:00:00Z`, { user: 'ben' });
});

for (const [name, prepare] of Object.entries(SCREENS)) {
  for (const colorScheme of ['light', 'dark']) {
    test(`axe finds nothing on the screen ${name} in ${colorScheme}`, async ({ as }) => {
      const page = await as('axe', { hash: `#/day?date=${day}&kind=axe`, colorScheme, reducedMotion: 'reduce' });
      await prepare(page);
      const { violations } = await new AxeBuilder({ page }).analyze();
      expect(violations.map(({ id, nodes }) => [id, nodes.map(({ target }) => target)])).toEqual([]);
    });
  }

  test(`the screen ${name} fits 320 pixels, also at twice the text size`, async ({ as }) => {
    const page = await as('axe', { hash: `#/day?date=${day}&kind=axe`, viewport: { width: 320, height: 640 } });
    await prepare(page);
    const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(await overflow()).toBeLessThanOrEqual(0);
    await page.setViewportSize({ width: 640, height: 900 });
    await page.evaluate(() => document.documentElement.style.setProperty('font-size', '200%'));
    expect(await overflow()).toBeLessThanOrEqual(0);
  });
}

test('on a narrow screen no word of a table breaks, and rooms of long names are told apart', async ({ stack, as }) => {
  for (const number of [1, 2]) await stack.room(`Long hotel name 00${number}`, { kind: 'narrow' });
  const narrow = { viewport: { width: 360, height: 640 } };
  const page = await as('root', { hash: '#/admin', admin: true, ...narrow });
  const heading = page.getByRole('columnheader', { name: 'People' });
  await expect(heading).toBeVisible();
  expect((await heading.boundingBox())?.height).toBeLessThan(50);
  await page.goto(`${stack.page}/#/day?date=${day}&kind=narrow`);
  const name = page.getByRole('rowheader', { name: /002/ });
  await expect(name).toBeVisible();
  expect(
    await name.evaluate((cell) => [cell.scrollWidth - cell.clientWidth, cell.scrollHeight - cell.clientHeight]),
  ).toEqual([0, 0]);
});

test('nothing moves where the reader wants no motion', async ({ as }) => {
  for (const [reducedMotion, name] of [
    ['reduce', 'none'],
    ['no-preference', 'appear'],
  ]) {
    const page = await as('axe', { hash: `#/day?date=${day}&kind=axe`, reducedMotion });
    await free(page, 'Axe', '10:00').click();
    expect(await page.getByRole('dialog').evaluate((dialog) => getComputedStyle(dialog).animationName)).toBe(name);
  }
});

test('the languages have the same texts, and a change of language needs no reload', async ({ as }) => {
  const page = await as('axe', { hash: `#/day?date=${day}&kind=axe` });
  const texts = await page.evaluate(
    async (codes) => {
      const keys = (words, prefix = '') =>
        Object.entries(words).flatMap(([name, text]) =>
          typeof text === 'object' && !('other' in text) ? keys(text, `${prefix}${name}.`) : [`${prefix}${name}`],
        );
      const { src } = document.querySelector('script[src]');
      const words = codes.map((code) => import(new URL(`words/${code}.js`, src).href));
      return (await Promise.all(words)).map((module) => keys(module.default).sort());
    },
    ['en', 'ko', 'pt'],
  );
  expect(texts[0].length).toBeGreaterThan(80);
  for (const others of texts.slice(1)) expect(others).toEqual(texts[0]);
  await page.getByLabel('Language').selectOption('한국어');
  await expect(page.getByRole('link', { name: '내 예약' })).toBeVisible();
  await expect(page.locator('html')).toHaveAttribute('lang', 'ko');
  await page.reload();
  await expect(page.getByRole('link', { name: '내 예약' })).toBeVisible();
});

test('a screen reader finds the form of a booking complete', async ({ as }) => {
  const page = await as('axe', { hash: `#/day?date=${day}&kind=axe` });
  await free(page, 'Axe', '10:00').click();
  await expect(page.getByRole('dialog')).toMatchAriaSnapshot(`
    - dialog "Book Axe":
      - banner:
        - heading "Book Axe" [level=2]
        - button "Close": ✕
      - paragraph: Times in Lisbon.
      - text: Date
      - textbox "Date": /.+/
      - text: From
      - textbox "From": /.+/
      - text: Until
      - textbox "Until": /.+/
      - text: To
      - textbox "To": /.+/
      - text: People
      - spinbutton "People": "1"
      - text: Title
      - textbox "Title"
      - text: For (if not you)
      - textbox "For (if not you)"
      - button "Book"
      - button "Cancel"
  `);
});
