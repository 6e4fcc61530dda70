// Opening hours as text: `08:00-12:00, 13:00-18:00` for a day, nothing for a closed one.

export const DAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'];

/** @typedef {{opens: string, closes: string}} OpenTime */

/** The texts of all days. @param {Record<string, OpenTime | OpenTime[]> | undefined} hours @returns {Record<string, string>} */
export function textOfHours(hours) {
  const text = (/** @type {string} */ day) =>
    [hours?.[day] ?? []]
      .flat()
      .map(({ opens, closes }) => `${opens}-${closes}`)
      .join(', ');
  return Object.fromEntries(DAYS.map((day) => [day, text(day)]));
}

/** The spans of a text, or `null` if it has another form. @param {string} text @returns {OpenTime[] | null} */
export function hoursOf(text) {
  if (!text.trim()) return [];
  const spans = text.split(',').map((part) => /^(\d\d:[0-5]\d)\s*[-–]\s*(\d\d:[0-5]\d)$/.exec(part.trim()));
  const read = spans.flatMap((span) => (span ? [{ opens: span[1], closes: afterMidnight(span[1], span[2]) }] : []));
  return read.length === spans.length ? read : null;
}

/** An end that is not after its beginning is one of the next day. @param {string} opens @param {string} closes */
const afterMidnight = (opens, closes) =>
  closes > opens ? closes : `${Number(closes.slice(0, 2)) + 24}${closes.slice(2)}`;
