// Something that one does to a subscription, and what became of it.

import { useState } from 'preact/hooks';
import { html } from '../../lib/html.js';
import { explain } from '../../lib/problem.js';

/** @returns {{error: unknown, isBusy: boolean, act: (change: () => Promise<void>) => Promise<void>}} */
export function useAct() {
  const [state, setState] = useState(/** @type {{error: unknown, isBusy: boolean}} */ ({ error: null, isBusy: false }));
  const act = async (/** @type {() => Promise<void>} */ change) => {
    if (state.isBusy) return;
    setState({ error: null, isBusy: true });
    try {
      await change();
      setState({ error: null, isBusy: false });
    } catch (error) {
      setState({ error, isBusy: false });
    }
  };
  return { ...state, act };
}

/** @param {{error: unknown}} properties */
export const Refusal = ({ error }) => error && html`<p class="trouble" role="alert">${explain(error)}</p>`;
