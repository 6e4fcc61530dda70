// How the services do: whether they are ready, lag, the relay, rooms that wait, and generations of read models.

import { config } from '../../lib/config.js';
import { html } from '../../lib/html.js';
import { useLoaded } from '../../lib/loading.js';
import { explain } from '../../lib/problem.js';
import { address } from '../../lib/router.js';
import { person } from '../../lib/sign-in.js';
import { ownZone, showInstant } from '../../lib/time.js';
import { locale, t } from '../../lib/words.js';
import { ask, metricsOf, readinessOf, withNames } from './ask.js';
import { RollBack } from './roll-back.js';

/** Metrics that tell what waits, with the service that has them. */
const WAITING = [
  { service: 'commands', name: 'outbox_events' },
  { service: 'commands', name: 'outbox_oldest_age_seconds' },
  { service: 'queries', name: 'projector_lag_messages' },
  { service: 'queries', name: 'projector_rooms_behind' },
  { service: 'queries', name: 'projector_rooms_parked' },
];

export default function Operation() {
  if (!person.value?.admin) {
    return html`
      <h1>${t('menu.operation')}</h1>
      <p>${t('operation.only')}</p>
    `;
  }
  return html`<${Everything} />`;
}

function Everything() {
  const services = useLoaded(loadServices, []);
  const relay = useLoaded((signal) => ask(`${config.commands}/v1/admin/relay`, signal), []);
  const held = useLoaded((signal) => roomsIn(`${config.commands}/v1/admin/held-rooms`, signal), []);
  const parked = useLoaded((signal) => roomsIn('/v1/admin/parked-rooms', signal), []);
  const generations = useLoaded(async (signal) => (await ask('/v1/admin/generations', signal)).items, []);
  const all = [services, relay, held, parked, generations];
  const isLoading = all.some(({ loading }) => loading);
  const refresh = () => {
    for (const { reload } of all) reload();
  };
  return html`
    <h1>${t('menu.operation')}</h1>
    <p>
      <button type="button" disabled=${isLoading} onClick=${refresh}>
        ${t('operation.refresh')}
      </button>
    </p>
    <${Part} name="services" loaded=${services}>
      ${services.data && html`<${Services} services=${services.data} />`}
    <//>
    <${Part} name="relay" loaded=${relay}>
      ${relay.data && html`<${Relay} relay=${relay.data} />`}
    <//>
    <${Part} name="held" loaded=${held}>
      <${WaitingRooms} rooms=${held.data} command=${(/** @type {string} */ room) => `command-service release-room ${room} --reason TEXT`} />
    <//>
    <${Part} name="parked" loaded=${parked}>
      <${WaitingRooms} rooms=${parked.data} command=${(/** @type {string} */ room) => `query-service parked redrive ${room}`} />
    <//>
    <${Part} name="generations" loaded=${generations}>
      ${generations.data && html`<${Generations} generations=${generations.data} />`}
    <//>
    <${RollBack} />
  `;
}

/** @param {{name: string, loaded: import('../../lib/loading.js').Loaded<any>, children?: any}} properties */
const Part = ({ name, loaded, children }) => html`
  <section aria-labelledby=${`operation-${name}`} aria-busy=${loaded.loading}>
    <h2 id=${`operation-${name}`}>${t(`operation.${name}`)}</h2>
    ${loaded.error && html`<p class="trouble" role="alert">${explain(loaded.error)}</p>`} ${children}
  </section>
`;

/** @param {AbortSignal} signal */
async function loadServices(signal) {
  const read = async (/** @type {string} */ at) => {
    const [readiness, metrics] = await Promise.all([readinessOf(at, signal), metricsOf(at, signal)]);
    return { readiness, metrics };
  };
  const [commands, queries] = await Promise.all([read(config.commands), read('')]);
  return { commands, queries };
}

/** @param {{services: any}} properties */
const Services = ({ services }) => html`
  <dl class="operation-facts">
    ${['commands', 'queries'].map((name) => {
      const { readiness } = services[name];
      const components = Object.entries(/** @type {Record<string, any>} */ (readiness?.components ?? {}));
      const failing = components.filter(([, { state }]) => state !== 'ok');
      return html`
        <div key=${name}>
          <dt>${t(`operation.service.${name}`)}</dt>
          <dd>
            ${t(`operation.ready.${readiness ? readiness.ready : 'unknown'}`)}
            ${failing.map(([part, { reason }]) => html`<br />${part}: ${reason}`)}
          </dd>
        </div>
      `;
    })}
    ${WAITING.map(({ service, name }) => {
      const value = services[service].metrics.get(name);
      return html`
        <div key=${name}>
          <dt>${t(`operation.metric.${name}`)}</dt>
          <dd>${value === undefined ? '–' : new Intl.NumberFormat(locale.value).format(value)}</dd>
        </div>
      `;
    })}
  </dl>
`;

/** @param {{relay: any}} properties */
function Relay({ relay }) {
  const { wanted, phase, since, place, problem } = relay;
  const facts = [
    ['wanted', wanted],
    ['phase', phase],
    ['since', since && showInstant(ownZone, Date.parse(since))],
    ['place', place && `${place.file}:${place.filePosition}`],
    ['deliveredTo', place?.deliveredTo],
  ];
  return html`
    <dl class="operation-facts">
      ${facts
        .filter(([, value]) => value !== undefined && value !== null)
        .map(
          ([name, value]) => html`
            <div key=${name}>
              <dt>${t(`operation.relayFact.${name}`)}</dt>
              <dd>${value}</dd>
            </div>
          `,
        )}
    </dl>
    ${problem && html`<p class="trouble">${problem}</p>`}
  `;
}

/** Rooms that wait for an operator. @param {string} at @param {AbortSignal} signal */
const roomsIn = async (at, signal) => withNames((await ask(at, signal)).items);

/** @param {{rooms: any[] | undefined, command: (room: string) => string}} properties */
function WaitingRooms({ rooms, command }) {
  if (!rooms) return null;
  if (!rooms.length) return html`<p>${t('operation.noneWaits')}</p>`;
  return html`
    <ul class="operation-list">
      ${rooms.map(
        ({ room, name, version, position, reason, since }) => html`
          <li key=${room}>
            <a href=${address('week', { room })}>${name}</a>, ${t('operation.waitsAt', { number: version ?? position })}
            ${since && html`, ${showInstant(ownZone, Date.parse(since))}`}<br />
            <span class="quiet-text">${reason}</span><br />
            <span class="quiet-text">${t('operation.byCommand')}</span> <code>${command(room)}</code>
          </li>
        `,
      )}
    </ul>
  `;
}

/** @param {{generations: any[]}} properties */
const Generations = ({ generations }) => html`
  <div class="operation-scroll" tabindex="0" role="group" aria-labelledby="operation-generations">
    <table class="operation-table">
      <thead>
        <tr>
          ${['number', 'state', 'madeAt', 'until'].map(
            (name) => html`<th key=${name} scope="col">${t(`operation.generation.${name}`)}</th>`,
          )}
        </tr>
      </thead>
      <tbody>
        ${generations.map(
          ({ number, state, madeAt, until }) => html`
            <tr key=${number}>
              <th scope="row">${number}</th>
              <td>${state}</td>
              <td>${showInstant(ownZone, Date.parse(madeAt))}</td>
              <td>${until ? showInstant(ownZone, Date.parse(until)) : '–'}</td>
            </tr>
          `,
        )}
      </tbody>
    </table>
  </div>
`;
