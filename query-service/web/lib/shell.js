// The frame around all screens: menu, caller, language, messages, and the screen of the address.

import { useEffect, useState } from 'preact/hooks';
import { load, screens } from '../screens/index.js';
import { Announcements } from './announce.js';
import { asked } from './booking.js';
import { html } from './html.js';
import { connected } from './live.js';
import { address, place } from './router.js';
import { person, signOut } from './sign-in.js';
import { changeLanguage, LANGUAGES, language, t } from './words.js';

/** Everything on the page. */
export function Shell() {
  const { screen, parameters } = place.value;
  const known = screens.find(({ name }) => name === screen) ?? screens[0];
  return html`
    <a class="skip" href="#content" onClick=${skip}>${t('shell.skip')}</a>
    <header class="top">
      <strong class="brand">${t('shell.brand')}</strong>
      <nav aria-label=${t('shell.menu')}>${person.value && html`<${Menu} shown=${known.name} />`}</nav>
      <${Settings} />
    </header>
    <main id="content" tabindex="-1">
      ${
        person.value
          ? html`<${Screen} key=${person.value.user + known.name} name=${known.name} parameters=${parameters} />`
          : html`<${Loaded} name="sign-in" given=${{}} />`
      }
    </main>
    ${!connected.value && html`<p class="trouble disconnected" role="alert">${t('shell.disconnected')}</p>`}
    ${asked.value && html`<${Form} key=${asked.value.room.room + asked.value.from} booking=${asked.value} />`}
    <${Announcements} />
  `;
}

/** @param {MouseEvent} event */
function skip(event) {
  event.preventDefault();
  document.getElementById('content')?.focus();
}

/** @param {{shown: string}} properties */
function Menu({ shown }) {
  const offered = screens.filter(({ menu, admin }) => menu && (!admin || person.value?.admin));
  return offered.map(
    ({ name }) => html`
      <a href=${address(name)} aria-current=${name === shown ? 'page' : undefined}>${t(`menu.${name}`)}</a>
    `,
  );
}

function Settings() {
  /** @param {Event} event */
  const chosen = (event) => changeLanguage(/** @type {HTMLSelectElement} */ (event.target).value);
  return html`
    <div class="settings">
      <select aria-label=${t('shell.language')} value=${language.value} onChange=${chosen}>
        ${Object.entries(LANGUAGES).map(([code, name]) => html`<option value=${code} lang=${code}>${name}</option>`)}
      </select>
      ${
        person.value &&
        html`<button type="button" class="quiet" onClick=${signOut}>
        ${t('shell.signOut', { user: person.value.user })}
      </button>`
      }
    </div>
  `;
}

/** @param {{name: string, parameters: Record<string, string>}} properties */
function Screen({ name, parameters }) {
  useEffect(() => {
    document.title = `${t(`menu.${name}`)} – ${t('shell.brand')}`;
  }, [name, language.value]);
  return html`<${Loaded} name=${name} given=${{ parameters }} />`;
}

/** The form of a reservation. @param {{booking: import('./booking.js').Booking}} properties */
function Form({ booking }) {
  const close = () => {
    if (asked.value === booking) asked.value = null;
  };
  return html`<${Loaded} name="book" given=${{ booking, close }} />`;
}

/** Loads what a folder shows when it is first shown. @param {{name: string, given: any}} properties */
function Loaded({ name, given }) {
  const [loaded, setLoaded] = useState(/** @type {{view: any} | null} */ (null));
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    load(name).then(
      (view) => setLoaded({ view }),
      () => setFailed(true),
    );
  }, [name]);
  // Its files are gone where a newer page is served.
  if (failed) {
    return html`<p class="trouble" role="alert">
      ${t('shell.newer')} <button type="button" onClick=${() => location.reload()}>${t('shell.reload')}</button>
    </p>`;
  }
  return loaded && html`<${loaded.view} ...${given} />`;
}
