"""Starts the embedded default, reserves, and reads its calendars with `icalendar` and by way of the CalDAV server Radicale."""

import base64
import contextlib
import datetime
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from embedded import PATIENCE, call, free_port, running
from icalendar import Calendar

NAME = 'Blue; "the\\ room", é ' + "x" * 80
TITLE = "Planning, part 1;\\2 ü" + "ä" * 60


def fetch(url, tag=None):
    """The status, the text and the tag of a calendar."""
    request = urllib.request.Request(url, headers={"If-None-Match": tag} if tag else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read(), answer.headers["ETag"]
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read(), refused.headers["ETag"]


def events(text):
    """Each event by its begin."""
    calendar = Calendar.from_ical(text)
    assert not calendar.errors, calendar.errors
    found = {}
    for event in calendar.walk("VEVENT"):
        assert not event.errors, event.errors
        found[event.decoded("DTSTART")] = {
            "to": event.decoded("DTEND"),
            "uid": str(event["UID"]),
            "sequence": event.get("SEQUENCE"),
            "status": str(event["STATUS"]),
            "summary": str(event["SUMMARY"]),
            "location": str(event["LOCATION"]) if "LOCATION" in event else None,
        }
    return found


def until(what, holds):
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.1)


@contextlib.contextmanager
def radicale():
    """Runs Radicale and yields its address."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "server-hosts": f"127.0.0.1:{port}",
            "auth-type": "none",
            "storage-filesystem-folder": folder,
            "logging-level": "warning",
        }
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        process = subprocess.Popen([sys.executable, "-m", "radicale", "--config", "", *arguments])
        try:
            address = f"http://127.0.0.1:{port}"

            def answers():
                with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=10):
                    return True
                return False

            until("Radicale answers", answers)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=30)


def uploaded(address, text):
    """What Radicale makes of a calendar."""
    credentials = base64.b64encode(b"ann:any").decode()
    headers = {"Authorization": f"Basic {credentials}", "Content-Type": "text/calendar; charset=utf-8"}
    url = f"{address}/ann/reservations/"
    request = urllib.request.Request(url, data=text, headers=headers, method="PUT")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 201, answer.status
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        return answer.read()


def check(commands, queries, server):
    room = {"name": NAME, "kind": "meeting", "capacity": 8, "timeZone": "Asia/Kathmandu"}
    room = call("POST", f"{commands}/v1/rooms", room, roles="admin")["room"]
    day = datetime.datetime.now(datetime.timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    hour = [day + datetime.timedelta(days=2, hours=number) for number in range(24)]

    def stay(begin, end):
        # Kathmandu is 5:45 ahead.
        zone = datetime.timezone(datetime.timedelta(hours=5, minutes=45))
        return {"from": hour[begin].astimezone(zone).isoformat(), "to": hour[end].astimezone(zone).isoformat()}

    def reserve(begin, end, user="ann"):
        body = {**stay(begin, end), "people": 3, "title": TITLE}
        return call("POST", f"{commands}/v1/rooms/{room}/reservations", body, user=user)["reservation"]

    moved, cancelled, _ = reserve(1, 2), reserve(3, 4), reserve(5, 6, user="bob")
    call("PATCH", f"{commands}/v1/rooms/{room}/reservations/{moved}", stay(7, 9))
    call("DELETE", f"{commands}/v1/rooms/{room}/reservations/{cancelled}")

    mine = call("POST", f"{queries}/v1/me/calendars")
    until("the room", lambda: any(item["room"] == room for item in call("GET", f"{queries}/v1/rooms")["items"]))
    busy = call("POST", f"{queries}/v1/rooms/{room}/calendars")
    address = queries + mine["address"]
    expected = {
        hour[7]: {
            "to": hour[9], "uid": moved, "sequence": 1, "status": "CONFIRMED", "summary": TITLE, "location": NAME,
        },
        hour[3]: {
            "to": hour[4], "uid": cancelled, "sequence": 1, "status": "CANCELLED", "summary": TITLE, "location": NAME,
        },
    }
    until("both reservations", lambda: events(fetch(address)[1]) == expected)
    status, text, tag = fetch(address)
    assert (status, fetch(address, tag)) == (200, (304, b"", tag))
    assert str(Calendar.from_ical(text)["NAME"]) == "Reservations"

    def busy_times():
        shown = events(fetch(queries + busy["address"])[1])
        assert all(event["summary"] == "Busy" and event["location"] is None for event in shown.values()), shown
        return sorted((begin, event["to"]) for begin, event in shown.items())

    until("the busy times", lambda: busy_times() == [(hour[5], hour[6]), (hour[7], hour[9])])
    assert events(uploaded(server, text)) == expected
    call("DELETE", f"{queries}/v1/me/calendars/{mine['calendar']}")
    assert fetch(address)[0] == 404


def main(program):
    with running(program) as (commands, queries), radicale() as server:
        check(commands, queries, server)
    print("calendars: icalendar and Radicale read each reservation with its times")


if __name__ == "__main__":
    main(sys.argv[1])
