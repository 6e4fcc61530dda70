// Rooms with their possible times. A time opens the form of a reservation.

import { book } from '../../lib/booking.js';
import { html } from '../../lib/html.js';
import { address } from '../../lib/router.js';
import { dateOf, differsFromOwn, ownZone, showDate, showTime, showZone } from '../../lib/time.js';
import { t } from '../../lib/words.js';

/** Times of a day that are shown at first. */
const SHOWN = 8;

/** @param {{found: import('./search.js').Found[], people: number}} properties */
export const Offers = ({ found, people }) => html`
  <ul class="find-rooms">
    ${found.map(({ room, spans }) => html`<${Offer} key=${room.room} room=${room} spans=${spans} people=${people} />`)}
  </ul>
`;

/** @param {import('./search.js').Found & {people: number}} properties */
function Offer({ room, spans, people }) {
  /** @type {Map<string, {from: number, to: number}[]>} */
  const days = new Map();
  for (const span of spans) {
    const date = dateOf(room.timeZone, span.from);
    days.set(date, [...(days.get(date) ?? []), span]);
  }
  const [{ from: first }] = spans;
  const about = [t('day.capacity', { count: room.capacity }), room.building, room.floor, ...(room.attributes ?? [])];
  return html`
    <li class="find-room">
      <h3><a href=${address('week', { room: room.room, date: dateOf(room.timeZone, first) })}>${room.name}</a></h3>
      <p class="quiet-text">
        ${about.filter(Boolean).join(' · ')}
        ${differsFromOwn(room.timeZone, first) && html` · ${t('book.zone', { zone: showZone(room.timeZone) })}`}
      </p>
      ${[...days].map(
        ([date, places]) => html`
          <div class="find-day" key=${date}>
            <h4 id=${`find-${room.room}-${date}`}>
              ${showDate(date, { weekday: 'short', day: 'numeric', month: 'short' })}
            </h4>
            <div class="find-times" role="group" aria-labelledby=${`find-${room.room}-${date}`}>
              <${Times} room=${room} places=${places.slice(0, SHOWN)} people=${people} />
              ${
                places.length > SHOWN &&
                html`
                  <details>
                    <summary>${t('find.moreTimes', { count: places.length - SHOWN })}</summary>
                    <div class="find-times">
                      <${Times} room=${room} places=${places.slice(SHOWN)} people=${people} />
                    </div>
                  </details>
                `
              }
            </div>
          </div>
        `,
      )}
    </li>
  `;
}

/** @param {{room: import('../../lib/rooms.js').Room, places: {from: number, to: number}[], people: number}} properties */
const Times = ({ room, places, people }) =>
  places.map(
    (span) => html`
      <button type="button" key=${span.from} onClick=${() => book({ room, ...span, people })}>
        ${showTime(room.timeZone, span.from)} – ${showTime(room.timeZone, span.to)}
        ${
          differsFromOwn(room.timeZone, span.from) &&
          html` <small>(${t('find.own', { from: showTime(ownZone, span.from) })})</small>`
        }
        <span class="visually-hidden">, ${t('find.book', { room: room.name })}</span>
      </button>
    `,
  );
