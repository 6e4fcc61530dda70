// The stream of changes, read with `fetch` because an `EventSource` sends no token. It goes on where it was cut.

import { effect, signal } from '@preact/signals';
import { problemOf, send } from './api.js';
import { person } from './sign-in.js';

/**
 * @typedef {object} Change
 * @property {string} type
 * @property {string} room
 * @property {number} version
 * @property {string} [reservation]
 * @property {number} [revision]
 */

/** Whether each open stream is connected. */
export const connected = signal(true);

/** Longest silence of a stream, in milliseconds. The service sends something every 15 seconds. */
const SILENCE = 45_000;
/** Most rooms of one stream. */
const MOST_ROOMS = 128;

/**
 * Watches rooms, or my reservations, until the returned function is called.
 *
 * @param {{rooms?: string[], mine?: boolean}} what
 * @param {(change: Change) => void} changed
 * @param {(room: string | undefined) => void} reset Something was missed, in this room or anywhere.
 */
export function watch({ rooms, mine }, changed, reset) {
  const stop = new AbortController();
  const parameters = new URLSearchParams();
  if (rooms) parameters.set('room', rooms.slice(0, MOST_ROOMS).join(','));
  if (mine) parameters.set('mine', 'true');
  /** @type {Map<string, number>} */
  const seen = new Map();
  let last = '';
  let pause = 1000;

  /** @param {string} name @param {string} data */
  const tell = (name, data) => {
    const told = data ? JSON.parse(data) : {};
    if (name === 'reset') {
      reset(told.room);
    } else if ((seen.get(told.room) ?? 0) < told.version) {
      // At least once: a version that is known is old news.
      seen.set(told.room, told.version);
      changed(told);
    }
  };

  const once = async () => {
    /** @type {Record<string, string>} */
    const headers = { Accept: 'text/event-stream' };
    if (last) headers['Last-Event-ID'] = last;
    const cut = new AbortController();
    const signal = AbortSignal.any([stop.signal, cut.signal]);
    let timer = setTimeout(() => cut.abort(), SILENCE);
    try {
      const answer = await send(`/v1/events?${parameters}`, 'GET', { headers, signal });
      if (!answer.ok || !answer.body) throw await problemOf(answer);
      connected.value = true;
      // Without a place to go on from, whatever happened between the load and now was missed.
      if (!last) reset(undefined);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = '';
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(timer);
        timer = setTimeout(() => cut.abort(), SILENCE);
        const blocks = (rest + value).split('\n\n');
        rest = blocks.pop() ?? '';
        for (const block of blocks) {
          let [name, data] = ['message', ''];
          for (const line of block.split('\n')) {
            if (line.startsWith('event: ')) name = line.slice(7);
            if (line.startsWith('data: ')) data += line.slice(6);
            if (line.startsWith('retry: ')) pause = Number(line.slice(7)) || pause;
            if (line.startsWith('id: ')) last = line.slice(4);
          }
          if (data) tell(name, data);
        }
      }
    } finally {
      clearTimeout(timer);
    }
  };

  (async () => {
    let failures = 0;
    while (!stop.signal.aborted && person.value) {
      try {
        await once();
        failures = 0;
      } catch {
        failures += 1;
      }
      if (stop.signal.aborted) return;
      connected.value = failures === 0;
      const longest = Math.min(failures ? 1000 * 2 ** Math.min(failures, 4) : pause, 15_000);
      await new Promise((resolve) => {
        const wake = setTimeout(resolve, longest * (0.5 + Math.random() / 2));
        const now = () => {
          clearTimeout(wake);
          resolve(null);
        };
        addEventListener('online', now, { once: true, signal: stop.signal });
        stop.signal.addEventListener('abort', now, { once: true });
      });
    }
  })();
  return () => stop.abort();
}

// Nobody signed in: nothing to be connected to.
effect(() => {
  if (!person.value) connected.value = true;
});
