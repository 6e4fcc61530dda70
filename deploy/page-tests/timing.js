// Times of the page, as the browser measures them.

/**
 * One load with an empty cache, until the rooms are there: first paint in milliseconds, sum of the layout shifts, and
 * bytes of the page's own files as they were sent.
 *
 * @param {any} context Of somebody who is signed in.
 * @param {string} address
 */
export async function loadOf(context, address) {
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send('Network.setCacheDisabled', { cacheDisabled: true });
  await page.goto(address);
  await page.getByRole('gridcell').first().waitFor();
  const load = await page.evaluate(async () => {
    const seen = (type) =>
      new Promise((resolve) => {
        const entries = [];
        const observer = new PerformanceObserver((list) => entries.push(...list.getEntries()));
        observer.observe({ type, buffered: true });
        // What comes after the rooms may shift them.
        setTimeout(() => resolve(entries), 1000);
      });
    const [shifts, paints] = await Promise.all([seen('layout-shift'), seen('paint')]);
    const files = performance.getEntriesByType('resource').filter(({ name }) => name.includes('/page/'));
    const [document] = performance.getEntriesByType('navigation');
    return {
      paint: paints.find(({ name }) => name === 'first-contentful-paint').startTime,
      shift: shifts.filter(({ hadRecentInput }) => !hadRecentInput).reduce((sum, { value }) => sum + value, 0),
      bytes: [document, ...files].reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0),
    };
  });
  await page.close();
  return load;
}

/**
 * Milliseconds of scripting each time the rooms of the kind `many` take the place of the one of the kind `few`.
 *
 * @param {any} page
 * @param {string} address The day, with the kind `few`.
 * @param {number} times
 * @returns {Promise<number[]>}
 */
export async function scriptingOf(page, address, times) {
  await page.goto(address);
  await page.getByRole('gridcell', { name: /^Few, 10:00/ }).waitFor();
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  const scripting = async () => {
    const { metrics } = await session.send('Performance.getMetrics');
    return metrics.find(({ name }) => name === 'ScriptDuration').value * 1000;
  };
  // Without the tools of a test, which would count too.
  const show = (kind) =>
    page.evaluate(async (chosen) => {
      const select = document.getElementById('day-kind');
      select.value = chosen;
      select.dispatchEvent(new Event('change', { bubbles: true }));
      await new Promise((resolve) => setTimeout(resolve, 500));
    }, kind);
  const durations = [];
  for (let time = 0; time < times; time += 1) {
    const before = await scripting();
    await show('many');
    durations.push((await scripting()) - before);
    await show('few');
  }
  await show('many');
  return durations;
}
