// The form of a reservation: a new one, or changes of one.

import { useEffect, useRef, useState } from 'preact/hooks';
import { confirm, Outcome, useCommand } from '../../lib/acting.js';
import { announce } from '../../lib/announce.js';
import { query } from '../../lib/api.js';
import { Dialog } from '../../lib/dialog.js';
import { html } from '../../lib/html.js';
import { explain, Problem } from '../../lib/problem.js';
import { address } from '../../lib/router.js';
import { person } from '../../lib/sign-in.js';
import { differsFromOwn, ownZone, rfc3339, showSpan, showZone } from '../../lib/time.js';
import { t } from '../../lib/words.js';
import { fieldOf, fieldsOf } from '../field.js';
import { ChooseExtent, pathOf, tagOf } from '../series-extent.js';
import { Alternatives } from './alternatives.js';
import { Fit, ofAll, Series, seriesOf } from './series.js';
import { check, patchOf, spanOf, valuesOf } from './values.js';

const Field = fieldsOf('book');

/** The order in which a wrong field gets the focus. */
const FIELDS = ['fromDate', 'from', 'toDate', 'to', 'people', 'title', 'reservedFor', 'reservedBy', 'times'];

/** @param {{booking: import('../../lib/booking.js').Booking, close: () => void}} properties */
export default function Book({ booking, close }) {
  const [room, setRoom] = useState(booking.room);
  const [reservation, setReservation] = useState(booking.reservation);
  const [values, setValues] = useState(() => valuesOf(booking));
  const [wrong, setWrong] = useState(/** @type {Record<string, string>} */ ({}));
  const [extent, setExtent] = useState(/** @type {import('../series-extent.js').Extent} */ ('one'));
  const acting = useCommand();
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const span = spanOf(values, room.timeZone);

  /** What the fields mean, or null where one is wrong. */
  const asked = () => {
    const mistakes = check(values, span);
    setWrong(mistakes);
    if (Object.keys(mistakes).length) return null;
    return {
      from: rfc3339(span.from),
      to: rfc3339(span.to),
      people: Number(values.people),
      ...(values.title && { title: values.title }),
      ...(values.reservedFor && { reservedFor: values.reservedFor }),
      ...(values.reservedBy && { reservedBy: values.reservedBy }),
    };
  };
  const askedSeries = () => {
    const stay = asked();
    return stay && seriesOf(values, span, room.timeZone, stay);
  };
  /** @param {any} changed @param {any} stay */
  const change = async (changed, stay) => {
    const patch = patchOf(values, stay, changed);
    const body = extent === 'all' ? await ofAll(patch, changed, room.timeZone) : patch;
    return acting.run('PATCH', pathOf(changed, extent), body, tagOf(changed, extent));
  };
  const send = async () => {
    const stay = values.repeat ? askedSeries() : asked();
    if (!stay) return;
    const answer = reservation
      ? await change(reservation, stay)
      : await acting.run('POST', `/v1/rooms/${room.room}/${values.repeat ? 'series' : 'reservations'}`, stay);
    if (!answer) return;
    const what = { room: room.name, when: showSpan(room.timeZone, span.from, span.to) };
    announce(`${t(reservation ? 'book.saved' : 'book.done', what)} ${t('book.confirming')}`);
    close();
    await confirm({
      room: room.room,
      reservation: answer.data.reservation ?? answer.data.occurrences[0].reservation,
      ...span,
      token: String(answer.token),
    });
    announce(t('book.confirmed', what));
  };

  // A refusal goes to its field, in words; the field gets the focus.
  const field = fieldOf(acting.error);
  const errors = { ...wrong };
  if (field && FIELDS.includes(field)) errors[field] = errors[field] ?? explain(acting.error);
  useEffect(() => {
    const first = FIELDS.find((name) => errors[name]);
    if (first) /** @type {any} */ (form.current?.elements.namedItem(first))?.focus();
  }, [acting.error, wrong]);
  // Somebody else changed it: the form shows how it is now.
  useEffect(() => {
    if (!(acting.error instanceof Problem) || acting.error.slug !== 'stale' || !reservation) return;
    query(`/v1/reservations/${reservation.reservation}`).then(({ data }) => {
      setReservation(data);
      setValues(valuesOf({ room, from: Date.parse(data.from), to: Date.parse(data.to), reservation: data }));
    });
  }, [acting.error]);

  /** @param {string} name */
  const bound = (name) => ({
    name,
    value: /** @type {any} */ (values)[name],
    error: errors[name],
    disabled: acting.isBusy || acting.step === 'unknown',
    onInput: (/** @type {any} */ event) => setValues({ ...values, [name]: event.target.value }),
  });
  /** @param {{room: import('../../lib/rooms.js').Room, from: number, to: number}} instead */
  const take = (instead) => {
    setRoom(instead.room);
    const { fromDate, from, toDate, to, opened } = valuesOf(instead);
    setValues({ ...values, fromDate, from, toDate, to, opened });
    /** @type {any} */ (form.current?.querySelector('button.main'))?.focus();
  };
  const misfits = acting.error instanceof Problem ? acting.error.members.misfits : undefined;
  const title = t(reservation ? 'book.change' : 'book.title', { room: room.name });
  return html`
    <${Dialog} title=${title} close=${close}>
      <form
        ref=${form}
        class="book"
        noValidate
        onSubmit=${(/** @type {SubmitEvent} */ event) => {
          event.preventDefault();
          send();
        }}
      >
        <p class="quiet-text">${t('book.zone', { zone: showZone(room.timeZone) })}</p>
        <div class="row">
          <${Field} label=${t('book.date')} type="date" required ...${bound('fromDate')} />
          <${Field} label=${t('book.from')} type="time" required ...${bound('from')} />
        </div>
        <div class="row">
          <${Field} label=${t('book.toDate')} type="date" required ...${bound('toDate')} />
          <${Field} label=${t('book.to')} type="time" required ...${bound('to')} />
        </div>
        ${
          span.from < span.to &&
          differsFromOwn(room.timeZone, span.from) &&
          html`<p class="quiet-text">${t('book.own', { when: showSpan(ownZone, span.from, span.to) })}</p>`
        }
        <${Field} label=${t('book.people')} type="number" min="1" required ...${bound('people')} />
        <${Field} label=${t('book.subject')} maxlength="200" ...${bound('title')} />
        <${Field} label=${t('book.for')} maxlength="200" ...${bound('reservedFor')} />
        ${
          !reservation &&
          (person.value?.admin || person.value?.delegate) &&
          html`<${Field} label=${t('book.owner')} maxlength="200" ...${bound('reservedBy')} />`
        }
        ${reservation?.series && html`<${ChooseExtent} extent=${extent} set=${setExtent} />`}
        ${
          !reservation &&
          html`<${Series}
          values=${values}
          bound=${bound}
          set=${(/** @type {object} */ changed) => setValues({ ...values, ...changed })}
          room=${room}
          error=${acting.error}
          asked=${askedSeries}
        />`
        }
        ${reservation && misfits && html`<${Fit} misfits=${misfits} zone=${room.timeZone} />`}
        <${Outcome} acting=${acting} again=${send} field=${Boolean(field && errors[field])} />
        <${Alternatives}
          error=${acting.error}
          room=${room}
          span=${span}
          people=${Number(values.people)}
          isChange=${Boolean(reservation)}
          take=${take}
        />
        <div class="buttons">
          <button class="main" disabled=${acting.isBusy || acting.step === 'unknown'}>
            ${t(acting.isBusy ? 'book.sending' : reservation ? 'book.save' : 'book.submit')}
          </button>
          <button type="button" onClick=${close}>${t('shell.cancel')}</button>
          ${reservation && html`<a href=${address('mine')} onClick=${close}>${t('menu.mine')}</a>`}
        </div>
      </form>
    <//>
  `;
}
