// How a schedule of the past differs from the present one.

/**
 * @typedef {object} Entry
 * @property {'same' | 'gone' | 'changed' | 'later'} state `gone`: only then. `later`: only now. `changed`: now otherwise.
 * @property {boolean} isClosure
 * @property {any} past What it was; of `later`, what it is now.
 * @property {any} [now] What it is now, if it is otherwise.
 */

/** @param {any} item */
const keyOf = ({ reservation, closure, from, to }) => reservation ?? closure ?? `${from} ${to}`;

/** What readers see of it. @param {any} item */
const valuesOf = ({ from, to, title, people, reservedFor, reservedBy, reason }) =>
  JSON.stringify([from, to, title, people, reservedFor, reservedBy, reason]);

/** @param {any[]} past @param {any[]} present @param {boolean} isClosure @returns {Entry[]} */
function pairs(past, present, isClosure) {
  const left = new Map(present.map((item) => [keyOf(item), item]));
  /** @type {Entry[]} */
  const entries = past.map((item) => {
    const now = left.get(keyOf(item));
    left.delete(keyOf(item));
    /** @type {Entry} */
    const entry = { state: 'same', isClosure, past: item };
    if (!now) return { ...entry, state: 'gone' };
    return valuesOf(item) === valuesOf(now) ? entry : { ...entry, state: 'changed', now };
  });
  for (const now of left.values()) entries.push({ state: 'later', isClosure, past: now });
  return entries;
}

/**
 * All entries of both, by their beginning.
 *
 * @param {import('./schedule.js').AtThatTime} past
 * @param {import('./schedule.js').AtThatTime} present
 */
export function compared(past, present) {
  const entries = [...pairs(past.items, present.items, false), ...pairs(past.closures, present.closures, true)];
  return entries.sort((one, other) => Date.parse(one.past.from) - Date.parse(other.past.from));
}
