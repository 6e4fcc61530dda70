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
import { language, t } from '../../lib/words.js';
import { cellsOf } from './cells.js';
import { Filters, fits } from './filters.js';
import { Grid } from './grid.js';

/** @typedef {import('../../lib/rooms.js').Schedule} Schedule */

/** Rooms that are shown at first, and with each "more". */
const SHOWN = 100;

/** Rooms that are drawn in one task. The browser paints and answers between two tasks. */
const AT_ONCE = 8;

/** @param {{parameters: Record<string, string>}} properties */
export default function Day({ parameters }) {
  const date = dateIn(parameters.date) ?? dateOf(ownZone, now.value);
  const [most, setMost] = useState(SHOWN);
  const kept = useKept();
  const loaded = useLoaded(
    async (signal) => ({ of: date, schedules: (await schedulesOf(date, signal)).map(kept) }),
    [date],
  );
  /** The day of the schedules: the one before until those of another day are there. */
  const { of = date, schedules = [] } = loaded.data ?? {};
  /** Schedules that changed since all were loaded, perhaps of other days. */
  const [fresh, setFresh] = useState(/** @type {Map<string, any>} */ (new Map()));

  const all = schedules.map((schedule) => newer(schedule, fresh.get(schedule.room.room)));
  const fitting = all.filter(({ room }) => fits(room, parameters));
  const shown = fitting.slice(0, most);
  useLive(shown, date, kept, setFresh, loaded.reload);

  /** @param {number} days */
  const turn = (days) => change({ date: addDays(date, days) });
  const minute = Math.floor(now.value / 60_000) * 60_000;
  const groups = useGroups(shown, of, minute, useDrawn(shown.length));
  // Most changes of the screen are none of its grids.
  const grids = useMemo(
    () =>
      groups.map(
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
              date=${of}
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
      ),
    [groups, date, parameters.people, language.value],
  );
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
      ${grids}
      ${loaded.data && !fitting.length && html`<p>${t('day.noRooms')}</p>`}
    </div>
    ${
      fitting.length > most &&
      html`<button type="button" onClick=${() => setMost(most + SHOWN)}>${t('shell.more')}</button>`
    }
  `;
}

/** Gives for a schedule its last copy, if that is the same: what did not change is not drawn again. */
function useKept() {
  const known = useRef(/** @type {Map<string, {schedule: Schedule, text: string}>} */ (new Map()));
  return (/** @type {Schedule} */ schedule) => {
    const text = JSON.stringify(schedule);
    const last = known.current.get(schedule.room.room);
    if (last?.text === text) return last.schedule;
    known.current.set(schedule.room.room, { schedule, text });
    return schedule;
  };
}

/**
 * The newer one of a room's schedules of the same day: answers may come in another order than they were asked for.
 *
 * @param {Schedule} schedule
 * @param {Schedule | undefined} other
 */
const newer = (schedule, other) =>
  other && other.from === schedule.from && other.version >= schedule.version ? other : schedule;

/** How many of so many rooms are drawn now: more with each task, until all are. @param {number} wanted */
function useDrawn(wanted) {
  const [drawn, setDrawn] = useState(AT_ONCE);
  useEffect(() => {
    if (drawn >= wanted) return undefined;
    const timer = setTimeout(() => setDrawn(drawn + AT_ONCE));
    return () => clearTimeout(timer);
  }, [drawn, wanted]);
  return Math.min(drawn, wanted);
}

/**
 * Rooms by time zone, most rooms first, and the cells of the first ones. A schedule that did not change keeps its cells.
 *
 * @param {Schedule[]} schedules
 * @param {string} date
 * @param {number} minute
 * @param {number} drawn Rooms that get cells.
 */
function useGroups(schedules, date, minute, drawn) {
  const known = useMemo(() => new WeakMap(), [date, minute, confirming.value]);
  /** @param {Schedule} schedule @returns {import('./grid.js').Line} */
  const lineOf = (schedule) => {
    let line = known.get(schedule);
    if (!line) {
      line = { schedule, cells: cellsOf(schedule, date, minute, confirming.value) };
      known.set(schedule, line);
    }
    return line;
  };
  return useMemo(() => {
    /** @type {Map<string, Schedule[]>} */
    const zones = new Map();
    for (const schedule of schedules) {
      const zone = schedule.room.timeZone;
      zones.set(zone, [...(zones.get(zone) ?? []), schedule]);
    }
    let left = drawn;
    const groups = [...zones].sort(([, one], [, other]) => other.length - one.length);
    return groups.flatMap(([zone, all]) => {
      const lines = all.slice(0, left).map(lineOf);
      left -= lines.length;
      return lines.length ? [{ zone, lines }] : [];
    });
  }, [known, drawn, ...schedules, schedules.length]);
}

/**
 * Loads rooms again when they change.
 *
 * @param {Schedule[]} schedules
 * @param {string} date
 * @param {(schedule: Schedule) => Schedule} kept
 * @param {(change: (last: Map<string, any>) => Map<string, any>) => void} setFresh
 * @param {() => void} reload
 */
function useLive(schedules, date, kept, setFresh, reload) {
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
        const schedule = kept(await scheduleOf(room, date, { signal }));
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
