"""Teaches Schemathesis NDJSON and the rules that a schema can't express.

Changes each valid case so that the service must accept it unless its state refuses. Then a 400 means that document and
service disagree. Leaves invalid cases alone.
"""

import json
import os
import random
import re
import uuid
from datetime import datetime, timedelta, timezone

import schemathesis

CHANCE = random.Random(os.environ["PROBE_SEED"])
# Existing rooms, kinds and reservations. Answers add to them.
ROOMS = os.environ["PROBE_ROOMS"].split(",")
KINDS = os.environ["PROBE_KINDS"].split(",")
RESERVATIONS = [tuple(pair.split("/")) for pair in os.environ["PROBE_RESERVATIONS"].split(",")]
DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
ZONES = ["UTC", "Europe/Lisbon", "America/St_Johns", "Pacific/Chatham", "Asia/Kathmandu"]


@schemathesis.serializer("application/x-ndjson")
def write_lines(ctx, value):
    """One line."""
    return value if isinstance(value, bytes) else json.dumps(value).encode() + b"\n"


@schemathesis.deserializer("application/x-ndjson")
def read_lines(ctx, response):
    """The answer to that line."""
    return json.loads(response.content)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes a valid case acceptable to the service."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    query, headers = case.query or {}, case.headers or {}
    body = case.body if isinstance(case.body, dict) else {}
    for values in (query, body):
        whole_minutes(values)
    possible(body)
    past(query)
    one_of_several(case.path, query, body)
    if "at" in body:
        imported(body)
    if "level" in body:
        # Not every text is a filter of log lines, and the log must stay readable.
        body["level"] = CHANCE.choice(["info", "info,http.request=info"])
    # Cursors and tokens come from answers only.
    query.pop("cursor", None)
    headers.pop("Consistency-Token", None)
    # Sequences of requests take values from other answers, which are not entity tags.
    if "If-Match" in headers and not re.fullmatch(r'\*|(W/)?"[ !#-~]*"', headers["If-Match"]):
        headers["If-Match"] = "*"
    if "If-None-Match" in headers and case.method != "GET":
        headers["If-None-Match"] = "*"
    if "Idempotency-Key" in headers and CHANCE.random() < 0.9:
        # The service refuses a key used for another request.
        headers["Idempotency-Key"] = str(uuid.UUID(int=CHANCE.getrandbits(128)))
    # Sequences of requests have ids of their own.
    path = case.path_parameters or {}
    if case.meta.phase.name.value != "stateful" and CHANCE.random() < 0.8:
        known(path)
    if "toRoom" in body:
        # The service refuses a move to the same room.
        body["toRoom"] = CHANCE.choice([room for room in ROOMS if room != path.get("room")])


@schemathesis.hook
def after_call(context, case, response):
    """Remembers new rooms and reservations."""
    if response.status_code == 201:
        effect = json.loads(response.content)
        if "reservation" in effect:
            RESERVATIONS.append((effect["room"], effect["reservation"]))
        elif "room" in effect:
            ROOMS.append(effect["room"])


def whole_minutes(values):
    """`from` before `to`, both whole minutes, not a year apart."""
    if "from" not in values and "to" not in values:
        return
    # One end alone must fit the reservation's other end.
    start = datetime(2030, 1, 1, tzinfo=timezone.utc) + timedelta(hours=CHANCE.randrange(24 * 3650))
    times = {"from": start, "to": start + timedelta(hours=CHANCE.randrange(1, 9))}
    values.update({name: time.isoformat() for name, time in times.items()})


def past(query):
    """One state of the past, and no frozen generation: there is none."""
    query.pop("generation", None)
    if "asOf" in query:
        query["asOf"] = CHANCE.choice(["2025-06-01T00:00:00Z", "2026-01-01T00:00:00.001+01:00"])
        query.pop("version", None)
        query.pop("revision", None)


def one_of_several(path, query, body):
    """Values that rule one another out, or hang on one another."""
    if "kind" in query:
        query.pop("kinds", None)
    if path.endswith("/roll-back"):
        for name in ("actor", "correlation", "room"):
            query.pop(name, None)
        query["room"] = CHANCE.choice(ROOMS)
    if "upTo" in query:
        query["after"], query["upTo"] = "0", "7"
    if path.endswith("/closures"):
        for name in ("kind", "rooms", "all"):
            body.pop(name, None)
        body["rooms"] = [CHANCE.choice(ROOMS)]
    if "recurrence" in body:
        body["recurrence"] = CHANCE.choice(["FREQ=DAILY;COUNT=3", "FREQ=WEEKLY;BYDAY=MO,WE;COUNT=4"])


def possible(body):
    """Valid settings and numbers of a room or a stay."""
    if "timeZone" in body:
        body["timeZone"] = CHANCE.choice(ZONES)
    if body.get("slotMinutes"):
        body["slotMinutes"] = CHANCE.choice([1, 5, 15])
    if "minMinutes" in body or "maxMinutes" in body:
        # One alone must fit the room's other one.
        body["minMinutes"], body["maxMinutes"] = 15, CHANCE.choice([15, 60, None])
    # Rooms open on some day, long enough for the limits.
    if isinstance(body.get("openingHours"), dict):
        # A merge patch names all days.
        for day in DAYS:
            span = {"opens": "07:30", "closes": CHANCE.choice(["19:00", "24:00", "26:00", "02:00"])}
            two = [{"opens": "07:30", "closes": "12:00"}, {"opens": "12:30", "closes": "02:00"}]
            body["openingHours"][day] = CHANCE.choice([span, [span], two])


def imported(body):
    """A line of an import: its own key and time, and a room or a kind."""
    body["key"] = str(uuid.UUID(int=CHANCE.getrandbits(128)))
    body["at"] = "2026-01-01T00:00:00Z"
    if "people" in body and "from" in body and "room" not in body and "kind" not in body:
        body["kind"] = CHANCE.choice(KINDS)


def known(path):
    """Existing ids."""
    if "reservation" in path:
        path["room" if "room" in path else "_"], path["reservation"] = CHANCE.choice(RESERVATIONS)
        path.pop("_", None)
    elif "room" in path:
        path["room"] = CHANCE.choice(ROOMS)
    if "kind" in path:
        path["kind"] = CHANCE.choice(KINDS)
