// What taking back would do: who did it, or where, since when. A command line does it.

import { useState } from 'preact/hooks';
import { announce } from '../../lib/announce.js';
import { html } from '../../lib/html.js';
import { explain } from '../../lib/problem.js';
import { address } from '../../lib/router.js';
import { clockOf, dateOf, instantOf, minutesOfClock, ownZone, rfc3339, showInstant } from '../../lib/time.js';
import { t } from '../../lib/words.js';
import { fieldOf } from '../field.js';
import { previewOf } from './ask.js';

const DAY = 86_400_000;
/** What a roll-back may select, as the service and the command name it. */
const SELECTIONS = /** @type {const} */ (['actor', 'correlation', 'room']);

export function RollBack() {
  const [values, setValues] = useState(() => {
    const since = Date.now() - DAY;
    return { by: 'actor', of: '', since: `${dateOf(ownZone, since)}T${clockOf(ownZone, since)}` };
  });
  const [state, setState] = useState(/** @type {{isBusy: boolean, error?: unknown, plan?: any}} */ ({ isBusy: false }));
  const [date, clock] = values.since.split('T');
  const since = clock ? rfc3339(instantOf(ownZone, date, minutesOfClock(clock))) : '';
  // A value in quotes, as shells read it.
  const quoted = values.of ? `'${values.of.replaceAll("'", "'\\''")}'` : 'VALUE';
  const command = `command-service roll-back --${values.by} ${quoted} --since ${since || 'TIME'}`;
  const copy = async () => {
    await navigator.clipboard.writeText(command);
    announce(t('mine.copied'));
  };
  const look = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    setState({ isBusy: true });
    try {
      setState({ isBusy: false, plan: await previewOf({ [values.by]: values.of.trim(), since }) });
    } catch (error) {
      setState({ isBusy: false, error });
    }
  };
  /** @param {keyof typeof values} name */
  const bound = (name) => ({
    id: `roll-back-${name}`,
    value: values[name],
    onInput: (/** @type {any} */ event) => {
      setValues({ ...values, [name]: event.target.value });
      setState({ isBusy: false });
    },
  });
  const isWrong = Boolean(state.error && fieldOf(state.error) === values.by);
  return html`
    <section aria-labelledby="operation-roll-back">
      <h2 id="operation-roll-back">${t('operation.rollBack')}</h2>
      <p>${t('operation.rollBackHelp')}</p>
      <form onSubmit=${look}>
        <div class="row">
          <div class="field">
            <label for="roll-back-by">${t('operation.rollBackBy')}</label>
            <select ...${bound('by')}>
              ${SELECTIONS.map((by) => html`<option value=${by}>${t(`operation.selection.${by}`)}</option>`)}
            </select>
          </div>
          <div class="field">
            <label for="roll-back-of">${t(`operation.value.${values.by}`)}</label>
            <input
              required
              maxlength="200"
              aria-invalid=${isWrong ? 'true' : undefined}
              aria-describedby=${isWrong ? 'roll-back-error' : undefined}
              ...${bound('of')}
            />
          </div>
          <div class="field">
            <label for="roll-back-since">${t('operation.since')}</label>
            <input type="datetime-local" required ...${bound('since')} />
          </div>
        </div>
        <div class="buttons">
          <button class="main" disabled=${state.isBusy}>${t('operation.preview')}</button>
        </div>
        ${state.error && html`<p class="trouble" role="alert" id="roll-back-error">${explain(state.error)}</p>`}
      </form>
      ${state.plan && html`<${Plan} plan=${state.plan} />`}
      <p>${t('operation.rollBackCommand')}</p>
      <p><code class="operation-command">${command}</code></p>
      <button type="button" onClick=${copy}>${t('mine.copy')}</button>
    </section>
  `;
}

/** @param {{plan: any}} properties */
function Plan({ plan }) {
  const { takenBack, notTakenBack, changes, more } = plan;
  return html`
    <p role="status">
      ${t('operation.planned', { count: takenBack })} ${t('operation.left', { count: notTakenBack })}
      ${more > 0 && ` ${t('operation.more', { count: more })}`}
    </p>
    ${
      changes.length > 0 &&
      html`
        <div class="operation-scroll" tabindex="0" role="group" aria-labelledby="operation-roll-back">
          <table class="operation-table">
            <thead>
              <tr>
                ${['committed', 'change', 'room', 'outcome'].map(
                  (name) => html`<th key=${name} scope="col">${t(`operation.planOf.${name}`)}</th>`,
                )}
              </tr>
            </thead>
            <tbody>
              ${changes.map(
                (/** @type {any} */ change) => html`
                  <tr key=${change.room + change.version}>
                    <td>${showInstant(ownZone, Date.parse(change.committed))}</td>
                    <td>${change.change}</td>
                    <td><a href=${address('week', { room: change.room })}>${change.name}</a></td>
                    <td>${change.outcome}</td>
                  </tr>
                `,
              )}
            </tbody>
          </table>
        </div>
      `
    }
  `;
}
