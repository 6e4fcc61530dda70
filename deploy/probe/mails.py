"""Starts the embedded default with a mail server, subscribes by e-mail, reserves, changes, cancels, and reads each mail."""

import datetime
import email
import email.policy
import logging
import queue
import ssl
import sys
import uuid
import warnings

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from embedded import PATIENCE, call, free_port, running
from icalendar import Calendar

RECEIVED = queue.Queue()


class Handler:
    async def handle_DATA(self, server, session, envelope):
        RECEIVED.put((envelope, email.message_from_bytes(envelope.content, policy=email.policy.default)))
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    known = isinstance(data, LoginPassword) and (data.login, data.password) == (b"rooms", b"p@ss/word")
    return AuthResult(success=known)


def invitation(room, method, status, sequence, uid, begin, end, title):
    envelope, mail = RECEIVED.get(timeout=PATIENCE)
    assert envelope.mail_from == "rooms@example.org" and envelope.rcpt_tos == ["ann@example.org"], envelope
    assert mail["To"] == "ann@example.org" and mail["From"] == "Rooms <rooms@example.org>", mail
    assert mail.get_content_type() == "multipart/alternative", mail
    text, calendar = mail.iter_parts()
    assert title in text.get_content() and room in text.get_content(), text
    assert calendar.get_content_type() == "text/calendar", calendar
    assert calendar.get_param("method") == method and calendar.get_content_charset() == "utf-8", calendar
    parsed = Calendar.from_ical(calendar.get_content())
    assert parsed["METHOD"] == method and parsed["VERSION"] == "2.0", parsed
    (event,) = parsed.walk("VEVENT")
    assert not event.errors, event.errors
    assert event["UID"] == uid and event["SEQUENCE"] == sequence and event["STATUS"] == status, event
    assert event.decoded("DTSTART") == begin and event.decoded("DTEND") == end, event
    assert event["SUMMARY"] == title and event["LOCATION"] == room, event
    assert event["ORGANIZER"] == "mailto:rooms@example.org" and event["ATTENDEE"] == "mailto:ann@example.org", event
    return mail["Message-ID"]


def published(room, status, sequence, occurrences):
    """A mail about several reservations of a series: ids, with begins and ends."""
    _, mail = RECEIVED.get(timeout=PATIENCE)
    text, calendar = mail.iter_parts()
    assert calendar.get_param("method") == "PUBLISH" and room in text.get_content(), mail
    parsed = Calendar.from_ical(calendar.get_content())
    events = parsed.walk("VEVENT")
    assert parsed["METHOD"] == "PUBLISH" and not any(event.errors for event in events), parsed
    found = [(str(event["UID"]), event.decoded("DTSTART"), event.decoded("DTEND")) for event in events]
    assert found == occurrences, found
    for event in events:
        assert event["STATUS"] == status and event["SEQUENCE"] == sequence and "ATTENDEE" not in event, event
        assert event["ORGANIZER"] == "mailto:rooms@example.org", event


def check(commands, queries):
    made = call("POST", f"{queries}/v1/subscriptions", {"channel": "email", "remindMinutes": 60})
    assert made["email"] == "ann@example.org", made
    name = f"Room 1, “Zoë”; {uuid.uuid4()}"
    room = {"name": name, "kind": "meeting", "capacity": 8, "timeZone": "Europe/Lisbon"}
    room = call("POST", f"{commands}/v1/rooms", room, roles="admin")["room"]
    begin = datetime.datetime.now(datetime.UTC).replace(second=0, microsecond=0) + datetime.timedelta(days=1)
    later, end = begin + datetime.timedelta(hours=1), begin + datetime.timedelta(hours=2)
    title = "Größe; a, b \\ c – " + "x" * 150
    stay = {"from": begin.isoformat(), "to": end.isoformat(), "people": 3, "title": title}
    reservations = f"{commands}/v1/rooms/{room}/reservations"
    reservation = call("POST", reservations, stay)["reservation"]
    one = f"{reservations}/{reservation}"
    ids = [invitation(name, "REQUEST", "CONFIRMED", 0, reservation, begin, end, title)]
    call("PATCH", one, {"from": later.isoformat(), "to": end.isoformat()}, **{"If-Match": '"1"'})
    ids.append(invitation(name, "REQUEST", "CONFIRMED", 1, reservation, later, end, title))
    call("DELETE", one, **{"If-Match": '"2"'})
    ids.append(invitation(name, "CANCEL", "CANCELLED", 2, reservation, later, end, title))
    assert len(set(ids)) == 3 and all(one.endswith("@example.org>") for one in ids), ids

    # What a command does to a series is one mail, which names all.
    stay = {"from": begin.isoformat(), "to": later.isoformat(), "people": 3, "recurrence": "FREQ=DAILY;COUNT=3"}
    series = call("POST", f"{commands}/v1/rooms/{room}/series", stay)
    occurrences = [
        (one["reservation"], datetime.datetime.fromisoformat(one["from"]), datetime.datetime.fromisoformat(one["to"]))
        for one in series["occurrences"]
    ]
    assert len(occurrences) == 3, occurrences
    published(name, "CONFIRMED", 0, occurrences)
    call("DELETE", f"{commands}/v1/rooms/{room}/series/{series['series']}/following/{occurrences[1][0]}")
    published(name, "CANCELLED", 1, occurrences[1:])

    # A stay in just over an hour is reminded of when an hour is left.
    now = datetime.datetime.now(datetime.UTC)
    soon = now.replace(second=0, microsecond=0) + datetime.timedelta(minutes=61 if now.second < 50 else 62)
    stay = {"from": soon.isoformat(), "to": (soon + datetime.timedelta(hours=1)).isoformat(), "people": 1, "title": "Call"}
    soon_id = call("POST", reservations, stay)["reservation"]
    invitation(name, "REQUEST", "CONFIRMED", 0, soon_id, soon, soon + datetime.timedelta(hours=1), "Call")
    _, reminder = RECEIVED.get(timeout=PATIENCE + 70)
    assert reminder["Subject"].startswith("Reminder: Room 1, “Zoë”"), reminder
    assert reminder.get_content_type() == "text/plain" and "Title: Call" in reminder.get_content(), reminder


def main(program):
    warnings.simplefilter("ignore")
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    # It takes no mail and no password without TLS.
    mails = Controller(
        Handler(),
        "127.0.0.1",
        free_port(),
        tls_context=tls,
        require_starttls=True,
        auth_required=True,
        authenticator=authenticate,
    )
    mails.start()
    try:
        with authority.cert_pem.tempfile() as file:
            settings = {
                "MAIL_FROM": "Rooms <rooms@example.org>",
                "SMTP_URL": f"smtp://rooms:p%40ss%2Fword@127.0.0.1:{mails.port}?tls=true",
                "TLS_CA_FILE": file,
            }
            with running(program, **settings) as (commands, queries):
                check(commands, queries)
    finally:
        mails.stop()
    print("mails: each stay has one calendar entry, which is made, changed and cancelled; a series is one mail; a reminder comes in time")


if __name__ == "__main__":
    main(sys.argv[1])
