// Closes a room, a kind of rooms, or all of them for some time.

import { useRef, useState } from 'preact/hooks';
import { announce } from '../../lib/announce.js';
import { newKey } from '../../lib/api.js';
import { html } from '../../lib/html.js';
import { explain, isTemporary } from '../../lib/problem.js';
import { instantOf, minutesOfClock, ownZone, rfc3339, showSpan, showZone } from '../../lib/time.js';
import { t } from '../../lib/words.js';
import { linesOf } from './closing.js';

/** Reservations in the closed time that are listed. */
const MOST_HITS = 20;

/**
 * @param {object} properties
 * @param {import('../../lib/rooms.js').Room[]} properties.rooms
 * @param {(lines: import('./closing.js').Line[]) => void} properties.made
 */
export function ClosureForm({ rooms, made }) {
  const key = useRef(newKey());
  const [values, setValues] = useState({ of: 'room', room: '', kind: '', from: '', to: '', reason: '' });
  const [state, setState] = useState(
    /** @type {{isBusy: boolean, error?: unknown, lines?: import('./closing.js').Line[]}} */ ({ isBusy: false }),
  );
  const kinds = [...new Set(rooms.map(({ kind }) => kind))].sort();
  const room = rooms.find((one) => one.room === values.room) ?? rooms[0];
  const zone = values.of === 'room' && room ? room.timeZone : ownZone;
  /** @param {string} local */
  const instant = (local) => {
    const [date, clock] = local.split('T');
    return rfc3339(instantOf(zone, date, minutesOfClock(clock)));
  };
  const send = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    if (state.isBusy) return;
    setState({ isBusy: true });
    try {
      const of = {
        room: { rooms: [room?.room] },
        kind: { kind: values.kind || kinds[0] },
        all: { all: true },
      }[values.of];
      const body = { ...of, from: instant(values.from), to: instant(values.to), reason: values.reason.trim() };
      const lines = await linesOf('POST', '/v1/closures', body, key.current);
      // What has a problem that passes is closed by the same request.
      if (lines.every(({ problem }) => !problem)) key.current = newKey();
      announce(t('admin.closed', { count: lines.filter(({ problem }) => !problem).length }));
      setState({ isBusy: false, lines });
      made(lines);
    } catch (error) {
      if (!isTemporary(error)) key.current = newKey();
      setState({ isBusy: false, error });
    }
  };
  /** @param {keyof typeof values} name */
  const bound = (name) => ({
    id: `closure-${name}`,
    name,
    value: values[name],
    onInput: (/** @type {any} */ event) => {
      key.current = newKey();
      setValues({ ...values, [name]: event.target.value });
    },
  });
  return html`
    <h3>${t('admin.close')}</h3>
    <form class="admin-form" onSubmit=${send}>
      <div class="row">
        <div class="field">
          <label for="closure-of">${t('admin.what')}</label>
          <select ...${bound('of')}>
            ${['room', 'kind', 'all'].map((of) => html`<option value=${of}>${t(`admin.of.${of}`)}</option>`)}
          </select>
        </div>
        ${
          values.of === 'room' &&
          html`
            <div class="field">
              <label for="closure-room">${t('day.room')}</label>
              <select ...${bound('room')} value=${room?.room ?? ''}>
                ${rooms.map((one) => html`<option value=${one.room}>${one.name}</option>`)}
              </select>
            </div>
          `
        }
        ${
          values.of === 'kind' &&
          html`
            <div class="field">
              <label for="closure-kind">${t('day.kind')}</label>
              <select ...${bound('kind')} value=${values.kind || (kinds[0] ?? '')}>
                ${kinds.map((kind) => html`<option value=${kind}>${kind}</option>`)}
              </select>
            </div>
          `
        }
      </div>
      <div class="row">
        <div class="field">
          <label for="closure-from">${t('book.from')}</label>
          <input type="datetime-local" required ...${bound('from')} />
        </div>
        <div class="field">
          <label for="closure-to">${t('book.to')}</label>
          <input type="datetime-local" required ...${bound('to')} />
        </div>
      </div>
      <p class="quiet-text">${t('book.zone', { zone: showZone(zone) })}</p>
      <div class="field">
        <label for="closure-reason">${t('admin.reason')}</label>
        <input required maxlength="200" ...${bound('reason')} />
      </div>
      ${state.error && html`<p class="trouble" role="alert">${explain(state.error)}</p>`}
      ${state.lines && html`<${Result} lines=${state.lines} rooms=${rooms} zone=${zone} />`}
      <div class="buttons"><button class="main" disabled=${state.isBusy}>${t('admin.close')}</button></div>
    </form>
  `;
}

/**
 * @param {object} properties
 * @param {import('./closing.js').Line[]} properties.lines
 * @param {import('../../lib/rooms.js').Room[]} properties.rooms
 * @param {string} properties.zone
 */
function Result({ lines, rooms, zone }) {
  const failed = lines.filter(({ problem }) => problem);
  const hits = lines.flatMap((line) => (line.hits ?? []).map((hit) => ({ ...hit, room: line.room })));
  const all = hits.length + lines.reduce((sum, { moreHits = 0 }) => sum + moreHits, 0);
  const nameOf = (/** @type {string} */ id) => rooms.find(({ room }) => room === id)?.name ?? id;
  return html`
    <div role="status">
      <p>${t('admin.closed', { count: lines.length - failed.length })}</p>
      ${failed.map(({ room, problem }) => html`<p class="trouble">${nameOf(room)}: ${problem.detail ?? problem.title}</p>`)}
      ${
        all > 0 &&
        html`
          <p>${t('admin.hits', { count: all })}</p>
          <ul>
            ${hits.slice(0, MOST_HITS).map(
              ({ room, from, to, reservation }) => html`
                <li key=${reservation}>${nameOf(room)}, ${showSpan(zone, Date.parse(from), Date.parse(to))}</li>
              `,
            )}
          </ul>
        `
      }
    </div>
  `;
}
