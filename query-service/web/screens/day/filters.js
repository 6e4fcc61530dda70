// Which rooms are shown: by kind, people, building and attribute. The address keeps the choice.

import { html } from '../../lib/html.js';
import { change } from '../../lib/router.js';
import { t } from '../../lib/words.js';

/**
 * Whether a room is shown.
 *
 * @param {import('../../lib/rooms.js').Room} room
 * @param {Record<string, string>} parameters
 */
export const fits = (room, { kind, people, building, attribute }) =>
  (!kind || room.kind === kind) &&
  !(room.capacity < Number(people)) &&
  (!building || room.building === building) &&
  (!attribute || (room.attributes ?? []).includes(attribute));

/** @param {(string | undefined)[]} values */
const distinct = (values) => [...new Set(values)].filter((value) => value !== undefined).sort();

/** @param {{rooms: import('../../lib/rooms.js').Room[], parameters: Record<string, string>}} properties */
export function Filters({ rooms, parameters }) {
  const choices = [
    { name: 'kind', values: distinct(rooms.map(({ kind }) => kind)) },
    { name: 'building', values: distinct(rooms.map(({ building }) => building)) },
    { name: 'attribute', values: distinct(rooms.flatMap(({ attributes }) => attributes ?? [])) },
  ];
  return html`
    <div class="field">
      <label for="day-people">${t('day.people')}</label>
      <input
        id="day-people"
        class="day-people"
        type="number"
        min="1"
        value=${parameters.people ?? ''}
        onChange=${(/** @type {any} */ event) => change({ people: event.target.value })}
      />
    </div>
    ${choices.map(
      ({ name, values }) =>
        (values.length > 1 || parameters[name]) &&
        html`
          <div class="field" key=${name}>
            <label for=${`day-${name}`}>${t(`day.${name}`)}</label>
            <select
              id=${`day-${name}`}
              value=${parameters[name] ?? ''}
              onChange=${(/** @type {any} */ event) => change({ [name]: event.target.value })}
            >
              <option value="">${t('day.all')}</option>
              ${values.map((value) => html`<option value=${value}>${value}</option>`)}
            </select>
          </div>
        `,
    )}
  `;
}
