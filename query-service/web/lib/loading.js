// Loads what a screen shows, and loads it again after failures that pass.

import { useEffect, useRef, useState } from 'preact/hooks';
import { html } from './html.js';
import { explain, isTemporary, Problem } from './problem.js';
import { address } from './router.js';
import { t } from './words.js';

/**
 * @template T
 * @typedef {object} Loaded
 * @property {T | undefined} data The last good answer.
 * @property {unknown} error Why there is no newer one.
 * @property {boolean} loading
 * @property {() => void} reload
 */

/**
 * What `load` gives, anew whenever `inputs` change or `reload` is called. Answers that were overtaken are dropped.
 *
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} load
 * @param {any[]} inputs
 * @returns {Loaded<T>}
 */
export function useLoaded(load, inputs) {
  const [state, setState] = useState(/** @type {{data?: T, error?: unknown, loading: boolean}} */ ({ loading: true }));
  const [turn, setTurn] = useState(0);
  const failures = useRef(0);
  const again = () => setTurn((last) => last + 1);
  useEffect(() => {
    const overtaken = new AbortController();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    setState((last) => ({ ...last, loading: true }));
    load(overtaken.signal).then(
      (data) => {
        failures.current = 0;
        if (!overtaken.signal.aborted) setState({ data, loading: false });
      },
      (error) => {
        if (overtaken.signal.aborted) return;
        setState((last) => ({ ...last, error, loading: false }));
        if (!isTemporary(error)) return;
        failures.current += 1;
        const asked = error instanceof Problem ? error.retryAfter * 1000 : 0;
        timer = setTimeout(again, Math.max(asked, Math.min(500 * 2 ** failures.current, 15_000)));
        addEventListener('online', again, { once: true, signal: overtaken.signal });
      },
    );
    return () => {
      overtaken.abort();
      clearTimeout(timer);
    };
  }, [...inputs, turn]);
  return /** @type {Loaded<T>} */ ({ ...state, reload: again });
}

/** Says why something can't be shown or is not fresh. @param {{error: unknown}} properties */
export function Trouble({ error }) {
  if (!error) return null;
  if (isTemporary(error)) return html`<p class="trouble" role="alert">${explain(error)} ${t('shell.retrying')}</p>`;
  const status = error instanceof Problem ? error.status : 0;
  // Screens ask with what their address says. The services' words about it are for programs.
  const text = status === 400 ? t('shell.wrongAddress') : explain(error);
  const way = (status === 400 || status === 404) && html` <a href=${address('day')}>${t('shell.start')}</a>`;
  return html`<p class="trouble" role="alert">${text}${way}</p>`;
}
