// Sends a form's command: once, however often one clicks, and honest about what is not known. A query with its token tells
// when others see its effect.

import { useRef, useState } from 'preact/hooks';
import { command, newKey, query } from './api.js';
import { confirmed, confirming } from './confirming.js';
import { html } from './html.js';
import { explain, isTemporary, Lost, Problem } from './problem.js';
import { t } from './words.js';

/**
 * @typedef {object} Acting
 * @property {'ready' | 'sending' | 'lookingUp' | 'unknown' | 'done'} step
 * @property {unknown} error Why the last try had no effect.
 * @property {boolean} isBusy
 * @property {(method: string, path: string, body?: any, ifMatch?: string) => Promise<import('./api.js').Answer | null>} run
 *   Sends the command. `null`: it was refused, or its outcome is unknown, or it is being sent already.
 */

/** A form's command. It has one idempotency key until a refusal, which had no effect. @returns {Acting} */
export function useCommand() {
  const key = useRef(newKey());
  const sending = useRef(false);
  const [state, setState] = useState(/** @type {{step: Acting['step'], error?: unknown}} */ ({ step: 'ready' }));
  /** @type {Acting['run']} */
  const run = async (method, path, body, ifMatch) => {
    if (sending.current) return null;
    sending.current = true;
    setState({ step: 'sending' });
    try {
      const onLost = () => setState({ step: 'lookingUp' });
      const answer = await command(method, path, body, { key: key.current, ifMatch, onLost });
      setState({ step: 'done' });
      key.current = newKey();
      return answer;
    } catch (error) {
      // Nothing is known after a lost answer: the next try asks with the same key.
      if (!isTemporary(error)) key.current = newKey();
      setState({ step: error instanceof Lost ? 'unknown' : 'ready', error });
      return null;
    } finally {
      sending.current = false;
    }
  };
  const isBusy = state.step === 'sending' || state.step === 'lookingUp';
  return { step: state.step, error: state.error, isBusy, run };
}

/** What became of the command so far. @param {{acting: Acting, again: () => void, field?: boolean}} properties */
export function Outcome({ acting, again, field = false }) {
  if (acting.step === 'lookingUp') return html`<p class="quiet-text" role="status">${t('book.lookingUp')}</p>`;
  if (acting.step === 'unknown') {
    return html`
      <div class="trouble" role="alert">
        <p>${t('book.unknown')}</p>
        <button type="button" onClick=${again}>${t('book.lookAgain')}</button>
      </div>
    `;
  }
  // Where a field shows the error, it is not said twice.
  return acting.error && !field ? html`<p class="trouble" role="alert">${explain(acting.error)}</p>` : null;
}

/** Seconds that one query waits. */
const WAIT = 10;

/**
 * Waits until queries show a command's effect.
 *
 * @param {import('./confirming.js').Confirming} effect
 * @returns {Promise<any>} The reservation as queries show it.
 */
export async function confirm(effect) {
  confirming.value = [...confirming.value, effect];
  try {
    for (;;) {
      try {
        const { data } = await query(`/v1/reservations/${effect.reservation}`, { token: effect.token, wait: WAIT });
        return data;
      } catch (error) {
        // It has taken effect; only seeing it takes longer.
        if (error instanceof Problem && error.status < 500 && error.status !== 429) throw error;
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
    }
  } finally {
    confirming.value = confirming.value.filter((other) => other !== effect);
    confirmed.value = { room: effect.room };
  }
}
