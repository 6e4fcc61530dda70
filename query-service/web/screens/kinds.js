// Kinds of rooms, for screens that let one choose.

import { all } from '../lib/api.js';

/** All kinds of rooms. @param {AbortSignal} [signal] @returns {Promise<string[]>} */
export const kinds = async (signal) => (await all('/v1/kinds', { signal })).map(({ kind }) => kind);
