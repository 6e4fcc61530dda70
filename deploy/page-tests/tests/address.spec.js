// Addresses that were mistyped or are no longer right: the page says so in the reader's words, and leads on.

import { expect, test } from './fixtures.js';

const SAID = {
  English: ['Something in this address is wrong.', 'To today’s rooms', 'There is no such room.'],
  한국어: ['이 주소에 잘못된 부분이 있습니다.', '오늘의 방 보기', '그런 방이 없습니다.'],
  Português: ['Algo neste endereço está errado.', 'Ver as salas de hoje', 'Essa sala não existe.'],
};
const NOBODYS_ROOM = '01890a5d-ac96-774b-bcce-b302099a8057';

for (const [language, [wrong, way, unknown]] of Object.entries(SAID)) {
  test(`a mistyped or unknown room in the address is told in ${language}, with a way on`, async ({ stack, as }) => {
    await stack.room(`Found in ${language}`);
    const page = await as('ann');
    await page.getByLabel('Language').selectOption(language);
    for (const [room, words] of [
      ['no-room', wrong],
      ['a/../b?', wrong],
      [NOBODYS_ROOM, unknown],
    ]) {
      for (const screen of ['week', 'past']) {
        await page.goto(`${stack.page}/#/${screen}?room=${encodeURIComponent(room)}`);
        await expect(page.getByRole('alert')).toHaveText([`${words} ${way}`]);
        await page.getByRole('alert').getByRole('link', { name: way }).click();
        await expect(page.getByRole('gridcell').first()).toBeVisible();
        await expect(page.getByRole('alert')).toHaveCount(0);
      }
    }
  });
}

test('a day that is none stands for today on every screen that has one', async ({ stack, as }) => {
  await stack.room('Dated');
  const page = await as('ann');
  const today = await page.getByLabel('Date', { exact: true }).inputValue();
  for (const date of ['2030-02-31', '2030-13-01', '99999-01-01', 'tomorrow']) {
    for (const [screen, field] of [
      ['day', 'Date'],
      ['week', 'Date'],
      ['past', 'From day'],
      ['find', 'Day'],
    ]) {
      await page.goto(`${stack.page}/#/${screen}?date=${date}&until=${date}&minutes=60`);
      await expect(page.getByLabel(field, { exact: true })).toHaveValue(today);
      await expect(page.getByRole('alert')).toHaveCount(0);
    }
    await page.goto(`${stack.page}/#/statistics?from=${date}&until=${date}`);
    await expect(page.getByLabel('To', { exact: true })).toHaveValue(today);
  }
});
