"""What Schemathesis has to know beside the OpenAPI documents: NDJSON, and rules that a schema can't say.

A case that the schema calls valid is made one that the service must accept, as far as its own state lets it: only then does
a 400 to such a case mean that document and service disagree. Cases that the schema calls invalid go out as they are.
"""

import json
import os
import random
import re
import uuid
from datetime import datetime, timedelta, timezone

import schemathesis

CHANCE = random.Random(os.environ["PROBE_SEED"])
# Rooms, kinds and reservations that there are; answers add to them.
ROOMS = os.environ["PROBE_ROOMS"].split(",")
KINDS = os.environ["PROBE_KINDS"].split(",")
RESERVATIONS = [tuple(pair.split("/")) for pair in os.environ["PROBE_RESERVATIONS"].split(",")]
ZONES = ["UTC", "Europe/Lisbon", "America/St_Johns", "Pacific/Chatham", "Asia/Kathmandu"]


@schemathesis.serializer("application/x-ndjson")
def write_lines(ctx, value):
    """One line of an import."""
    return value if isinstance(value, bytes) else json.dumps(value).encode() + b"\n"


@schemathesis.deserializer("application/x-ndjson")
def read_lines(ctx, response):
    """The answer to that line."""
    return json.loads(response.content)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes a valid case one that has a chance of success."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    query, headers = case.query or {}, case.headers or {}
    body = case.body if isinstance(case.body, dict) else {}
    for values in (query, body):
        whole_minutes(values)
    possible(body)
    if "at" in body:
        imported(body)
    if "level" in body:
        # Not every text is a filter of log lines, and the probe's own must stay readable.
        body["level"] = CHANCE.choice(["info", "info,http.request=info"])
    # Neither can be made up: a page, and an answer, give them.
    query.pop("cursor", None)
    headers.pop("Consistency-Token", None)
    # Sequences of requests take values from elsewhere, which are not entity tags.
    if "If-Match" in headers and not re.fullmatch(r'\*|(W/)?"[ !#-~]*"', headers["If-Match"]):
        headers["If-Match"] = "*"
    if "Idempotency-Key" in headers and CHANCE.random() < 0.9:
        # The same key with another request is refused.
        headers["Idempotency-Key"] = str(uuid.UUID(int=CHANCE.getrandbits(128)))
    # A sequence of requests has its own ids.
    path = case.path_parameters or {}
    if case.meta.phase.name.value != "stateful" and CHANCE.random() < 0.8:
        known(path)
    if "toRoom" in body:
        # A move to where it is already is refused.
        body["toRoom"] = CHANCE.choice([room for room in ROOMS if room != path.get("room")])


@schemathesis.hook
def after_call(context, case, response):
    """Remembers what was made."""
    if response.status_code == 201:
        effect = json.loads(response.content)
        if "reservation" in effect:
            RESERVATIONS.append((effect["room"], effect["reservation"]))
        else:
            ROOMS.append(effect["room"])


def whole_minutes(values):
    """`from` before `to`, both whole minutes, not a year apart."""
    if "from" not in values and "to" not in values:
        return
    # One end alone would be held against the other one that the reservation has.
    start = datetime(2030, 1, 1, tzinfo=timezone.utc) + timedelta(hours=CHANCE.randrange(24 * 3650))
    times = {"from": start, "to": start + timedelta(hours=CHANCE.randrange(1, 9))}
    values.update({name: time.isoformat() for name, time in times.items()})


def possible(body):
    """Settings and numbers that a room or a stay can have."""
    for name, value in body.items():
        # To a schema 2.0 is an integer. The services want it written as one.
        if isinstance(value, float) and value.is_integer():
            body[name] = int(value)
    if "timeZone" in body:
        body["timeZone"] = CHANCE.choice(ZONES)
    if body.get("slotMinutes"):
        body["slotMinutes"] = CHANCE.choice([1, 5, 15, 60, 1440])
    if "minMinutes" in body or "maxMinutes" in body:
        # One alone would be held against the other one that the room has.
        body["minMinutes"], body["maxMinutes"] = 15, CHANCE.choice([15, 60, None])
    # A day's opening lies before its closing.
    for day, hours in (body.get("openingHours") or {}).items():
        if isinstance(hours, dict):
            body["openingHours"][day] = {"opens": "07:30", "closes": CHANCE.choice(["19:00", "24:00"])}


def imported(body):
    """A line of an import: its own key and time, and one of two ways to name room and reservation."""
    body["key"] = str(uuid.UUID(int=CHANCE.getrandbits(128)))
    body["at"] = "2026-01-01T00:00:00Z"
    if "people" in body and "from" in body and "room" not in body and "kind" not in body:
        body["kind"] = CHANCE.choice(KINDS)


def known(path):
    """Ids that there are."""
    if "reservation" in path:
        path["room" if "room" in path else "_"], path["reservation"] = CHANCE.choice(RESERVATIONS)
        path.pop("_", None)
    elif "room" in path:
        path["room"] = CHANCE.choice(ROOMS)
    if "kind" in path:
        path["kind"] = CHANCE.choice(KINDS)
