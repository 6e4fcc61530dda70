// Requests to both services.

import { config } from './config.js';
import { Lost, Problem } from './problem.js';
import { credentials, renewed } from './sign-in.js';

/** Milliseconds after which an answer counts as lost. */
const PATIENCE = 30_000;
/** Pauses before a lost command is sent again with its key, in milliseconds. */
const LOOKING_UP = [300, 1000, 2000, 4000];

/**
 * @typedef {object} Answer
 * @property {any} data The body.
 * @property {string | null} etag
 * @property {string | null} token The consistency token.
 * @property {string | null} moment Of the past: when what is shown was recorded.
 * @property {boolean} replayed Whether an earlier request with the key had the effect.
 */

/**
 * @typedef {object} Options
 * @property {any} [body]
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 */

/**
 * Sends one request as the person who is signed in. The answer may be a refusal.
 *
 * @param {string} address
 * @param {string} method
 * @param {Options} options
 * @returns {Promise<Response>}
 */
export async function send(address, method, { body, headers = {}, signal }) {
  const attempt = async () => {
    try {
      // Where the provider does not answer, there is no token, and a later try may have one.
      const all = { ...headers, ...(await credentials()) };
      if (body !== undefined) all['Content-Type'] = 'application/json';
      return await fetch(address, {
        method,
        headers: all,
        body: body === undefined ? undefined : JSON.stringify(body),
        signal,
        cache: 'no-store',
        credentials: 'omit',
        referrerPolicy: 'no-referrer',
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Lost(String(error));
    }
  };
  const answer = await attempt();
  return answer.status === 401 && (await renewed()) ? attempt() : answer;
}

/** @param {Response} answer @returns {Promise<Problem>} */
export async function problemOf(answer) {
  const members = await answer.json().catch(() => ({ title: answer.statusText }));
  return new Problem(answer.status, members, Number(answer.headers.get('Retry-After') ?? 0));
}

/** @param {string} address @param {string} method @param {Options} options @returns {Promise<Answer>} */
async function exchange(address, method, options) {
  const late = AbortSignal.timeout(PATIENCE);
  const signal = options.signal ? AbortSignal.any([options.signal, late]) : late;
  try {
    const answer = await send(address, method, { ...options, signal });
    if (!answer.ok) throw await problemOf(answer);
    const text = await answer.text();
    return {
      data: text ? JSON.parse(text) : null,
      etag: answer.headers.get('ETag'),
      token: answer.headers.get('Consistency-Token'),
      moment: answer.headers.get('Memento-Datetime'),
      replayed: answer.headers.get('Idempotency-Replayed') === 'true',
    };
  } catch (error) {
    // The body may break off, too.
    if (error instanceof Problem || options.signal?.aborted) throw error;
    throw error instanceof Lost ? error : new Lost(String(error));
  }
}

/**
 * Asks the query service. With a token the answer shows at least its effects.
 *
 * @param {string} path
 * @param {{token?: string | null, wait?: number, signal?: AbortSignal}} [options]
 */
export function query(path, { token, wait, signal } = {}) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (token) headers['Consistency-Token'] = token;
  if (wait) headers.Prefer = `wait=${wait}`;
  return exchange(path, 'GET', { headers, signal });
}

/**
 * All items of a list, page by page.
 *
 * @param {string} path
 * @param {{token?: string | null, wait?: number, signal?: AbortSignal}} [options]
 * @returns {Promise<any[]>}
 */
export async function all(path, options) {
  const items = [];
  let next;
  do {
    const [to, limit] = path.includes('limit=') ? [path, ''] : [path, 'limit=500'];
    const more = [limit, next && `cursor=${encodeURIComponent(next)}`].filter(Boolean).join('&');
    const { data } = await query(more ? `${to}${to.includes('?') ? '&' : '?'}${more}` : to, options);
    items.push(...data.items);
    next = data.next;
  } while (next);
  return items;
}

/**
 * Asks the query service for a change of what it keeps itself: calendars and subscriptions.
 *
 * @param {string} method
 * @param {string} path
 * @param {any} [body]
 * @param {Record<string, string>} [headers]
 */
export function change(method, path, body, headers) {
  return exchange(path, method, { body, headers });
}

/** A new idempotency key. A form has one from when it opens: sent twice, it has one effect. */
export const newKey = () => crypto.randomUUID();

/**
 * Sends a command. After a lost answer it is sent again with its key, which tells what became of it.
 *
 * @param {string} method
 * @param {string} path
 * @param {any} body
 * @param {{key: string, ifMatch?: string | null, onLost?: () => void}} options
 * @returns {Promise<Answer>}
 */
export async function command(method, path, body, { key, ifMatch, onLost }) {
  /** @type {Record<string, string>} */
  const headers = { 'Idempotency-Key': key };
  if (ifMatch) headers['If-Match'] = ifMatch;
  for (const pause of [...LOOKING_UP, null]) {
    try {
      return await exchange(config.commands + path, method, { body, headers });
    } catch (error) {
      const isLost = error instanceof Lost || (error instanceof Problem && isUndecided(error));
      if (!isLost) throw error;
      if (pause === null) throw new Lost(String(error));
      onLost?.();
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
  throw new Lost();
}

/** Whether the effect is still open. @param {Problem} problem */
const isUndecided = ({ slug, status }) =>
  ['outcome-unknown', 'in-progress'].includes(slug) || status === 502 || status === 504;
