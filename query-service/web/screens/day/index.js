// The rooms of one day: what is reserved, what is free, and what to book.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { announce } from '../../lib/announce.js';
import { book } from '../../lib/booking.js';
import { confirmed, confirming } from '../../lib/confirming.js';
import { html } from '../../lib/html.js';
import { watch } from '../../lib/live.js';
import { Trouble, useLoaded } from '../../lib/loading.js';
import { now } from '../../lib/now.js';
import { scheduleOf, schedulesOf } from '../../lib/rooms.js';
import { change } from '../../lib/router.js';
import { addDays, dateIn, dateOf, differsFromOwn, ownZone, showDate, showZone } from '../../lib/time.js';
import { t } from '../../lib/words.js';
import { cellsOf } from './cells.js';
import { Filters, fits } from './filters.js';
import { Grid } from './grid.js';

/** Rooms that are shown at first, and with each "more". */
const SHOWN = 100;

/** @param {{parameters: Record<string, string>}} properties */
export default function Day({ parameters }) {
  const date = dateIn(parameters.date) ?? dateOf(ownZone, now.value);
  const [most, setMost] = useState(SHOWN);
  const loaded = useLoaded((signal) => schedulesOf(date, signal), [date]);
  /** Schedules that changed since all were loaded. */
  const [fresh, setFresh] = useState(/** @type {Map<string, any>} */ (new Map()));
  useEffect(() => setFresh(new Map()), [date]);

  const all = (loaded.data ?? []).map((schedule) => newer(schedule, fresh.get(schedule.room.room)));
  const fitting = all.filter(({ room }) => fits(room, parameters));
  const shown = fitting.slice(0, most);
  useLive(shown, date, setFresh, loaded.reload);

  /** @param {number} days */
  const turn = (days) => change({ date: addDays(date, days) });
  const minute = Math.floor(now.value / 60_000) * 60_000;
  const groups = useGroups(shown, date, minute);
  return html`
    <h1>${t('day.title', { date: showDate(date) })}</h1>
    <div class="bar">
      <div class="buttons">
        <button type="button" aria-label=${t('day.previous')} onClick=${() => turn(-1)}>‹</button>
        <button type="button" onClick=${() => change({ date: undefined })}>${t('day.today')}</button>
        <button type="button" aria-label=${t('day.next')} onClick=${() => turn(1)}>›</button>
      </div>
      <div class="field">
        <label for="day-date">${t('day.date')}</label>
        <input
          id="day-date"
          type="date"
          value=${date}
          onChange=${(/** @type {any} */ event) => event.target.value && change({ date: event.target.value })}
        />
      </div>
      <${Filters} rooms=${all.map(({ room }) => room)} parameters=${parameters} />
    </div>
    ${
      // Not before the rooms, whose kinds and buildings may add a line to the bar above.
      loaded.data && html`<p id="day-help" class="quiet-text">${t('day.help')}</p>`
    }
    <${Trouble} error=${loaded.error} />
    <div class="day-groups" aria-busy=${loaded.loading}>
      ${groups.map(
        ({ zone, lines }) => html`
          <section key=${zone} class="day-group">
            <h2>
              ${t('day.zone', { zone: showZone(zone) })}
              ${
                differsFromOwn(zone, lines[0].schedule.from) &&
                html` <small>(${t('day.own', { zone: showZone(ownZone) })})</small>`
              }
            </h2>
            <${Grid}
              lines=${lines}
              zone=${zone}
              date=${date}
              now=${minute}
              turn=${turn}
              book=${(/** @type {any} */ { schedule }, /** @type {any} */ { from, to }) =>
                book({ room: schedule.room, from, to, people: Number(parameters.people) || undefined })}
              open=${(/** @type {any} */ line, /** @type {any} */ reservation) =>
                book({
                  room: line.schedule.room,
                  from: Date.parse(reservation.from),
                  to: Date.parse(reservation.to),
                  reservation,
                })}
            />
          </section>
        `,
      )}
      ${loaded.data && !fitting.length && html`<p>${t('day.noRooms')}</p>`}
    </div>
    ${
      fitting.length > most &&
      html`<button type="button" onClick=${() => setMost(most + SHOWN)}>${t('shell.more')}</button>`
    }
  `;
}

/**
 * The newer one of a room's schedules of the same day: answers may come in another order than they were asked for.
 *
 * @param {import('../../lib/rooms.js').Schedule} schedule
 * @param {import('../../lib/rooms.js').Schedule | undefined} other
 */
const newer = (schedule, other) =>
  other && other.from === schedule.from && other.version >= schedule.version ? other : schedule;

/**
 * Rooms by time zone, most rooms first, with their cells. A schedule that did not change keeps its cells.
 *
 * @param {import('../../lib/rooms.js').Schedule[]} schedules
 * @param {string} date
 * @param {number} minute
 */
function useGroups(schedules, date, minute) {
  const known = useMemo(() => new WeakMap(), [date, minute, confirming.value]);
  return useMemo(() => {
    /** @type {Map<string, import('./grid.js').Line[]>} */
    const zones = new Map();
    for (const schedule of schedules) {
      let line = known.get(schedule);
      if (!line) {
        line = { schedule, cells: cellsOf(schedule, date, minute, confirming.value) };
        known.set(schedule, line);
      }
      const zone = schedule.room.timeZone;
      zones.set(zone, [...(zones.get(zone) ?? []), line]);
    }
    const groups = [...zones].map(([zone, lines]) => ({ zone, lines }));
    return groups.sort((one, other) => other.lines.length - one.lines.length);
  }, [known, ...schedules, schedules.length]);
}

/**
 * Loads rooms again when they change.
 *
 * @param {import('../../lib/rooms.js').Schedule[]} schedules
 * @param {string} date
 * @param {(change: (last: Map<string, any>) => Map<string, any>) => void} setFresh
 * @param {() => void} reload
 */
function useLive(schedules, date, setFresh, reload) {
  const ids = schedules.map(({ room }) => room.room).join();
  const again = useRef((/** @type {string} */ _id) => {});
  useEffect(() => {
    const rooms = new Map(schedules.map(({ room }) => [room.room, room]));
    /** The newest request of each room: answers may come in another order. @type {Map<string, AbortController>} */
    const newest = new Map();
    again.current = async (id) => {
      const room = rooms.get(id);
      if (!room) return;
      newest.get(id)?.abort();
      const request = new AbortController();
      newest.set(id, request);
      const { signal } = request;
      try {
        const schedule = await scheduleOf(room, date, { signal });
        if (!signal.aborted) setFresh((last) => new Map(last).set(id, schedule));
      } catch {
        if (!signal.aborted) reload();
      }
    };
    return () => {
      for (const request of newest.values()) request.abort();
    };
  }, [ids, date]);
  useEffect(() => {
    if (!ids) return undefined;
    const names = new Map(schedules.map(({ room }) => [room.room, room.name]));
    return watch(
      { rooms: [...names.keys()] },
      ({ room, type }) => {
        again.current(room);
        if (type === 'busy-changed') announce(t('day.changed', { room: names.get(room) ?? '' }));
      },
      (room) => (room ? again.current(room) : reload()),
    );
  }, [ids]);
  useEffect(() => {
    // An own command is confirmed: the schedule shows it, also where the stream is cut.
    if (confirmed.value.room) again.current(confirmed.value.room);
  }, [confirmed.value]);
}
