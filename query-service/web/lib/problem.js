// What went wrong, and how to say it.

import { showMinutes } from './time.js';
import { maybe, t } from './words.js';

/** A refusal or failure that a service answered (RFC 9457). */
export class Problem extends Error {
  /** @param {number} status @param {Record<string, any>} members @param {number} retryAfter */
  constructor(status, members, retryAfter) {
    super(members.detail ?? members.title ?? String(status));
    this.status = status;
    /** Details, such as `inTheWay`, `alternatives`, `rule` and `limit`. */
    this.members = members;
    /** The last part of the problem's type. @type {string} */
    this.slug =
      String(members.type ?? '')
        .split('/')
        .pop() ?? '';
    /** The field that is wrong, as in `people`. @type {string | undefined} */
    this.field = members.field?.replace(/^\//, '');
    /** Seconds until a new try may help; 0 if none does. */
    this.retryAfter = retryAfter;
  }
}

/** No answer came, so nothing is known of the effect. */
export class Lost extends Error {}

/** Whether a later try of the same may succeed. @param {unknown} error */
export function isTemporary(error) {
  return error instanceof Lost || (error instanceof Problem && (error.status === 503 || error.status === 429));
}

/** The problem in the reader's words. @param {unknown} error @returns {string} */
export function explain(error) {
  if (error instanceof Lost) return t('problem.lost');
  if (!(error instanceof Problem)) return t('problem.internal');
  const { slug, members } = error;
  if (slug === 'rule') return ruleText(members.rule, members.limit) ?? error.message;
  return maybe(`problem.${slug}`) ?? error.message;
}

/** A rule of a room in words. @param {string} rule @param {number} limit */
export const ruleText = (rule, limit) =>
  maybe(`rule.${rule}`, { limit: rule.endsWith('Minutes') ? showMinutes(limit) : limit, count: limit });
