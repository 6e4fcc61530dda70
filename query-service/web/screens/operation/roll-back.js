// How to take back what somebody did: a command line shows what it would do.

import { useState } from 'preact/hooks';
import { announce } from '../../lib/announce.js';
import { html } from '../../lib/html.js';
import { clockOf, dateOf, instantOf, minutesOfClock, ownZone, rfc3339 } from '../../lib/time.js';
import { t } from '../../lib/words.js';

const DAY = 86_400_000;

export function RollBack() {
  const [values, setValues] = useState(() => {
    const since = Date.now() - DAY;
    return { actor: '', since: `${dateOf(ownZone, since)}T${clockOf(ownZone, since)}` };
  });
  const [date, clock] = values.since.split('T');
  const since = clock ? rfc3339(instantOf(ownZone, date, minutesOfClock(clock))) : 'TIME';
  // A name in quotes, as shells read it.
  const actor = values.actor ? `'${values.actor.replaceAll("'", "'\\''")}'` : 'USER';
  const command = `command-service roll-back --actor ${actor} --since ${since} --dry-run`;
  const copy = async () => {
    await navigator.clipboard.writeText(command);
    announce(t('mine.copied'));
  };
  /** @param {keyof typeof values} name */
  const bound = (name) => ({
    id: `roll-back-${name}`,
    value: values[name],
    onInput: (/** @type {any} */ event) => setValues({ ...values, [name]: event.target.value }),
  });
  return html`
    <section aria-labelledby="operation-roll-back">
      <h2 id="operation-roll-back">${t('operation.rollBack')}</h2>
      <p>${t('operation.rollBackHelp')}</p>
      <div class="row">
        <div class="field">
          <label for="roll-back-actor">${t('signIn.user')}</label>
          <input maxlength="200" ...${bound('actor')} />
        </div>
        <div class="field">
          <label for="roll-back-since">${t('operation.since')}</label>
          <input type="datetime-local" ...${bound('since')} />
        </div>
      </div>
      <p><code class="operation-command">${command}</code></p>
      <button type="button" onClick=${copy}>${t('mine.copy')}</button>
    </section>
  `;
}
