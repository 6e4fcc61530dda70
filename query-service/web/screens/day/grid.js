// Rooms of one time zone by time: a grid with one tab stop. Arrows move, Shift extends, Enter books; a mouse drags.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { announce } from '../../lib/announce.js';
import { html } from '../../lib/html.js';
import { showTime, showZone } from '../../lib/time.js';
import { language, t } from '../../lib/words.js';
import { spanBetween } from './cells.js';
import { Hours } from './hours.js';
import { Row } from './row.js';

/**
 * @typedef {{schedule: import('../../lib/rooms.js').Schedule, cells: import('./cells.js').Cell[]}} Line
 *
 * @param {object} properties
 * @param {Line[]} properties.lines
 * @param {string} properties.zone
 * @param {string} properties.date
 * @param {number} properties.now
 * @param {(line: Line, span: {from: number, to: number}) => void} properties.book
 * @param {(line: Line, reservation: any) => void} properties.open
 * @param {(days: number) => void} properties.turn
 */
export function Grid({ lines, zone, date, now, book, open, turn }) {
  const grid = useRef(/** @type {HTMLElement | null} */ (null));
  /** The cell that has the tab stop: its row, and a moment within it as a part of the day. */
  const stop = useRef({ room: '', part: 0.375, wanted: false });
  /** Where a choice began, and the span. */
  const [chosen, setChosen] = useState(
    /** @type {{room: string, first: number, end: number, from: number, to: number} | null} */ (null),
  );

  /** @param {HTMLElement} cell */
  const lineOf = (cell) => {
    const room = /** @type {HTMLElement} */ (cell.closest('[data-room]')).dataset.room;
    return lines.findIndex(({ schedule }) => schedule.room.room === room);
  };
  /** @param {number} line @param {number} index */
  const elementOf = (line, index) =>
    /** @type {HTMLElement | undefined} */ (
      grid.current?.querySelectorAll('[data-room]')[line]?.querySelectorAll('[role=gridcell]')[index]
    );
  /** @param {number} line @param {number} part */
  const indexAt = (line, part) => {
    const { schedule, cells } = lines[line];
    const instant = schedule.from + part * (schedule.to - schedule.from);
    return Math.max(
      0,
      cells.findIndex(({ to }) => to > instant),
    );
  };

  /** Gives one cell the tab stop. @param {number} line @param {number} index @param {boolean} focus */
  const stopAt = (line, index, focus) => {
    const { schedule, cells } = lines[line];
    const { from, to } = cells[index];
    const length = schedule.to - schedule.from;
    // Up and down keep to the time, also across long cells.
    const { part } = stop.current;
    const inside = part >= (from - schedule.from) / length && part < (to - schedule.from) / length;
    const kept = inside ? part : (from - schedule.from + 1) / length;
    stop.current = { room: schedule.room.room, part: kept, wanted: false };
    for (const old of grid.current?.querySelectorAll('[tabindex="0"]') ?? []) old.setAttribute('tabindex', '-1');
    const cell = elementOf(line, index);
    cell?.setAttribute('tabindex', '0');
    if (focus) cell?.focus();
  };

  /** The cell that got the focus in any way has the tab stop, so no change of rows takes the focus away. @param {FocusEvent} event */
  const focused = (event) => {
    const cell = cellOf(event.target);
    if (cell && cell.getAttribute('tabindex') !== '0') stopAt(lineOf(cell), indexOf(cell), false);
  };

  // Rows come and go: the tab stop stays with its room and time, as far as they are there.
  useEffect(() => {
    if (!lines.length) return;
    const hadFocus = stop.current.wanted || grid.current?.contains(document.activeElement);
    const line = Math.max(
      0,
      lines.findIndex(({ schedule }) => schedule.room.room === stop.current.room),
    );
    stopAt(line, indexAt(line, stop.current.part), Boolean(hadFocus));
  }, [lines]);

  /** @param {number} line @param {number} first @param {number} last */
  const choose = (line, first, last) => {
    const { schedule, cells } = lines[line];
    const { room, timeZone, name } = schedule.room;
    const span = spanBetween(cells, first, last);
    setChosen({ room, first, ...span });
    announce(t('day.chosen', { room: name, from: showTime(timeZone, span.from), to: showTime(timeZone, span.to) }));
    return span;
  };

  /** @param {number} line @param {number} index */
  const activate = (line, index) => {
    const { schedule, cells } = lines[line];
    const cell = cells[index];
    if (cell.kind === 'free') {
      const here = chosen?.room === schedule.room.room ? chosen : null;
      book(
        lines[line],
        here && here.from <= cell.from && cell.to <= here.to ? here : usual(cells, index, schedule.room),
      );
      setChosen(null);
    } else if (cell.kind === 'mine') {
      open(lines[line], cell.reservation);
    }
  };

  /** @param {KeyboardEvent} event */
  const pressed = (event) => {
    const cell = cellOf(event.target);
    if (!cell || event.altKey || event.metaKey) return;
    const line = lineOf(cell);
    const index = indexOf(cell);
    const { cells } = lines[line];
    const aside = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const down = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (aside && event.shiftKey) {
      if (cells[index].kind !== 'free') return;
      const first = chosen?.room === lines[line].schedule.room.room ? chosen.first : index;
      const { end } = choose(line, first, Math.min(cells.length - 1, Math.max(0, index + aside)));
      stopAt(line, end, true);
    } else if (aside) {
      stopAt(line, Math.min(cells.length - 1, Math.max(0, index + aside)), true);
    } else if (down) {
      const to = Math.min(lines.length - 1, Math.max(0, line + down));
      stopAt(to, indexAt(to, stop.current.part), true);
    } else if (event.key === 'Home' || event.key === 'End') {
      const to = event.ctrlKey ? (event.key === 'Home' ? 0 : lines.length - 1) : line;
      stopAt(to, event.key === 'Home' ? 0 : lines[to].cells.length - 1, true);
    } else if (event.key === 'PageUp' || event.key === 'PageDown') {
      stop.current.wanted = true;
      turn(event.key === 'PageUp' ? -1 : 1);
    } else if (event.key === 'Enter' || event.key === ' ') {
      activate(line, index);
    } else if (event.key === 'Escape') {
      setChosen(null);
    } else {
      return;
    }
    if (!event.shiftKey && event.key !== 'Enter' && event.key !== ' ') setChosen(null);
    event.preventDefault();
  };

  /** Where a mouse button went down. */
  const drag = useRef(/** @type {{line: number, first: number, moved: boolean} | null} */ (null));
  /** @param {PointerEvent} event */
  const under = (event) => cellOf(document.elementFromPoint(event.clientX, event.clientY));
  /** @param {PointerEvent} event */
  const grabbed = (event) => {
    const cell = under(event);
    // A finger scrolls.
    if (!cell || event.button !== 0 || event.pointerType === 'touch') return;
    const [line, first] = [lineOf(cell), indexOf(cell)];
    if (lines[line].cells[first].kind === 'free') drag.current = { line, first, moved: false };
  };
  /** @param {PointerEvent} event */
  const dragged = (event) => {
    const cell = drag.current && under(event);
    if (!drag.current || !cell || lineOf(cell) !== drag.current.line) return;
    const index = indexOf(cell);
    if (index === drag.current.first && !drag.current.moved) return;
    if (!drag.current.moved) grid.current?.setPointerCapture(event.pointerId);
    drag.current.moved = true;
    choose(drag.current.line, drag.current.first, index);
  };
  const dropped = () => {
    const { line, moved } = drag.current ?? { line: 0, moved: false };
    if (moved && chosen) {
      book(lines[line], chosen);
      setChosen(null);
    }
    // The click that follows a drag is none.
    if (!moved) drag.current = null;
  };
  /** @param {MouseEvent} event */
  const clicked = (event) => {
    const cell = cellOf(event.target);
    const wasDrag = drag.current?.moved;
    drag.current = null;
    if (!cell || wasDrag) return;
    const [line, index] = [lineOf(cell), indexOf(cell)];
    stopAt(line, index, true);
    activate(line, index);
  };

  /** Rows as they were drawn last: one that did not change is not drawn again. @type {WeakMap<Line, {chosen: any, row: any}>} */
  const rows = useMemo(() => new WeakMap(), [date, language.value]);
  /** @param {Line} line */
  const rowOf = (line) => {
    const { schedule, cells } = line;
    const { room } = schedule.room;
    const here = chosen?.room === room ? chosen : null;
    let known = rows.get(line);
    if (!known || known.chosen !== here) {
      const row = html`
        <${Row} key=${room} schedule=${schedule} cells=${cells} date=${date} chosen=${here} words=${language.value} />
      `;
      known = { chosen: here, row };
      rows.set(line, known);
    }
    return known.row;
  };

  const day = lines[0]?.schedule;
  const part = day ? (now - day.from) / (day.to - day.from) : -1;
  const shown = part >= 0 && part < 1 ? `${part * 100}%` : '-4px';
  return html`
    <div class="day-scroll">
      <div
        role="grid"
        class="day-grid"
        ref=${grid}
        aria-label=${t('day.grid', { zone: showZone(zone) })}
        aria-describedby="day-help"
        style=${{ '--now': shown, '--hours': day ? (day.to - day.from) / 3_600_000 : 24 }}
        onFocusIn=${focused}
        onKeyDown=${pressed}
        onPointerDown=${grabbed}
        onPointerMove=${dragged}
        onPointerUp=${dropped}
        onClick=${clicked}
      >
        ${day && html`<${Hours} day=${day} zone=${zone} />`}
        ${lines.map(rowOf)}
      </div>
    </div>
  `;
}

/** The cell that an element is or is in. @param {EventTarget | null} element */
const cellOf = (element) =>
  /** @type {HTMLElement | undefined} */ (/** @type {Element | null} */ (element)?.closest('[role=gridcell]'));

/** The place of a cell in its row. @param {HTMLElement} cell */
const indexOf = (cell) => Array.from(cell.parentElement?.children ?? []).indexOf(cell);

/**
 * An hour from a cell on, or what is free of it, or the room's shortest stay.
 *
 * @param {import('./cells.js').Cell[]} cells
 * @param {number} index
 * @param {import('../../lib/rooms.js').Room} room
 */
function usual(cells, index, { minMinutes = 0 }) {
  const wanted = cells[index].from + Math.max(60, minMinutes) * 60_000;
  let last = index;
  while (cells[last].to < wanted && cells[last + 1]?.kind === 'free') last += 1;
  return spanBetween(cells, index, last);
}
