#!/usr/bin/env python3
"""Makes the timetable of a university with two campuses: rooms.csv, closures.csv, bookings.csv, and expected.csv.

The same program gives the same files. expected.csv holds every occurrence that has to be reserved, expanded by dateutil and
zoneinfo: none of the code under test.

    pip install python-dateutil==2.9.0.post0 tzdata==2026.1
    python3 make.py
"""

import csv
import random
from datetime import date, datetime, time, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

HERE = Path(__file__).parent
MADE = datetime(2025, 1, 6, 8, tzinfo=timezone.utc)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
DAYS = ["MO", "TU", "WE", "TH", "FR"]
STARTS = [time(hour) for hour in (8, 10, 12, 14, 16)]

CAMPUSES = {
    "Lisboa": {
        "zone": ZoneInfo("Europe/Lisbon"),
        "term": date(2031, 2, 17),
        # Clocks skip 01:00 to 02:00 on 30 March.
        "nights": [(date(2031, 3, 20), time(23), time(1, 10)), (date(2031, 3, 20), time(1, 30), time(1, 50))],
        "holidays": [
            ("Carnaval", date(2031, 2, 25), 1),
            ("Páscoa", date(2031, 4, 7), 8),
            ("Dia da Liberdade", date(2031, 4, 25), 1),
            ("Dia do Trabalhador", date(2031, 5, 1), 1),
            ("Dia de Portugal", date(2031, 6, 10), 1),
        ],
    },
    "Santiago": {
        "zone": ZoneInfo("America/Santiago"),
        "term": date(2031, 3, 10),
        # Clocks show 23:00 to 24:00 twice on 5 April.
        "nights": [(date(2031, 3, 27), time(21), time(23, 30)), (date(2031, 3, 27), time(23, 45), time(0, 30))],
        "holidays": [
            ("Viernes Santo", date(2031, 4, 11), 2),
            ("Día del Trabajo", date(2031, 5, 1), 1),
            ("Glorias Navales", date(2031, 5, 21), 1),
        ],
    },
}
# Name, capacity, number, buffer before and after in minutes.
KINDS = [
    ("Lecture hall", 200, 2, 0, 0),
    ("Seminar room", 30, 6, 0, 0),
    ("Laboratory", 20, 2, 15, 15),
    ("Exam hall", 100, 1, 30, 30),
    ("Observatory", 10, 1, 0, 0),
]


def moment(local, zone):
    """The moment at which clocks show a time: of two the earlier one, in place of one that they skip the end of the gap."""
    shown = local.replace(tzinfo=zone, fold=0).astimezone(timezone.utc)
    if shown.astimezone(zone).replace(tzinfo=None) == local:
        return shown
    # The gap ends where the offset changes.
    before = (shown - DAY).astimezone(zone).utcoffset()
    end = shown - DAY
    while end.astimezone(zone).utcoffset() == before:
        end += MINUTE
    return end


def occurrences(booking, zone):
    """The stays of a booking in UTC."""
    first, last = booking["first"], booking["last"]
    if not booking["recurrence"]:
        return [(moment(first, zone), moment(last, zone))]
    stays = []
    for begin in rrulestr(booking["recurrence"], dtstart=first):
        if begin.date() in booking["exceptions"]:
            continue
        stay = (moment(begin, zone), moment(last + (begin - first), zone))
        # Clocks skip all of it.
        if stay[0] < stay[1]:
            stays.append(stay)
    return stays


class Plan:
    def __init__(self):
        self.random = random.Random(2031)
        self.rooms, self.closures, self.bookings = [], [], []

    def book(self, campus, room, title, first, last, recurrence="", exceptions=(), conflict="skip"):
        number = len(self.bookings) + 1
        self.bookings.append({
            "key": f"timetable/{number}", "at": MADE + number * MINUTE, "campus": campus, "room": room["name"],
            "user": f"lecturer-{number % 23}@{campus.lower()}.example", "people": 2 + number % (room["capacity"] - 1),
            "title": title, "first": first, "last": last, "recurrence": recurrence,
            "exceptions": sorted(exceptions), "conflict": conflict,
        })

    def campus(self, name):
        campus = CAMPUSES[name]
        for reason, first, days in campus["holidays"]:
            midnight = [datetime.combine(first + timedelta(days=n), time()) for n in (0, days)]
            begin, end = (moment(local, campus["zone"]) for local in midnight)
            self.closures.append({"campus": name, "from": begin, "to": end, "reason": reason})
        for kind, capacity, count, before, after in KINDS:
            for number in range(1, count + 1):
                room = {"name": f"{name} {kind} {number}", "kind": f"{name} {kind}", "campus": name,
                        "capacity": capacity, "zone": campus["zone"].key, "before": before, "after": after}
                self.rooms.append(room)
                {"Exam hall": self.exams, "Observatory": self.nights}.get(kind, self.lectures)(name, room)

    def lectures(self, name, room):
        term, random_ = CAMPUSES[name]["term"], self.random
        taken = set()
        for start in STARTS:
            for weekday in range(5):
                if (weekday, start) in taken or random_.random() < 0.4:
                    continue
                first = datetime.combine(term + timedelta(days=weekday), start)
                days = [DAYS[weekday]]
                other = weekday + 2
                if other < 5 and (other, start) not in taken and random_.random() < 0.2:
                    days.append(DAYS[other])
                    taken.add((other, start))
                end = random_.choice(["COUNT=15", "COUNT=16", f"UNTIL={term + timedelta(days=110):%Y%m%d}"])
                weeks = random_.choice(["", "", "", "INTERVAL=2;"])
                title = f"Lecture {len(self.bookings) + 1}"
                missed = [first.date() + timedelta(days=14 * random_.randint(1, 4))] if random_.random() < 0.25 else []
                rule = f"FREQ=WEEKLY;{weeks}BYDAY={','.join(days)};{end}"
                self.book(name, room, title, first, first + 90 * MINUTE, rule, missed)
                # What is missed is made up for on the Saturday of that week.
                for day in missed:
                    saturday = datetime.combine(day + timedelta(days=5 - day.weekday()), start)
                    self.book(name, room, f"{title}, made up for", saturday, saturday + 90 * MINUTE)
        # On the first Wednesday of a month, from the second one of the term on.
        day = date(term.year, term.month + 1, 1)
        day += timedelta(days=(2 - day.weekday()) % 7)
        meeting = datetime.combine(day, time(18))
        self.book(name, room, "Faculty meeting", meeting, meeting + 60 * MINUTE, "FREQ=MONTHLY;BYDAY=1WE;COUNT=4")
        # Somebody who asks too late: a week of afternoons that are taken in part.
        late = datetime.combine(term + timedelta(days=21), time(13))
        self.book(name, room, "Workshop", late, late + 120 * MINUTE, "FREQ=DAILY;COUNT=5", conflict="refuse")

    def exams(self, name, room):
        """Two a day, of which the second one sometimes begins before the room is ready again."""
        first = CAMPUSES[name]["term"] + timedelta(days=112)
        for day in range(10):
            morning = datetime.combine(first + timedelta(days=day), time(9))
            later = self.random.choice([60, 60, 30])
            afternoon = morning + timedelta(hours=3) + later * MINUTE
            for begin in (morning, afternoon):
                self.book(name, room, f"Exam {len(self.bookings) + 1}", begin, begin + timedelta(hours=3))

    def nights(self, name, room):
        for number, (day, begins, ends) in enumerate(CAMPUSES[name]["nights"]):
            first, last = datetime.combine(day, begins), datetime.combine(day, ends)
            last += DAY if last <= first else timedelta()
            self.book(name, room, f"Night {number + 1}", first, last, "FREQ=DAILY;COUNT=21")

    def expected(self):
        """What is reserved after all bookings in their order."""
        rooms = {room["name"]: room for room in self.rooms}
        closed = {name: [(c["from"], c["to"]) for c in self.closures if c["campus"] == name] for name in CAMPUSES}
        busy, reserved = {name: [] for name in rooms}, []
        for booking in self.bookings:
            room = rooms[booking["room"]]
            before, after = room["before"] * MINUTE, room["after"] * MINUTE
            stays = occurrences(booking, CAMPUSES[booking["campus"]]["zone"])
            taken = busy[room["name"]] + closed[booking["campus"]]
            fits = [(b, e) for b, e in stays if not any(b - before < to and of < e + after for of, to in taken)]
            refused = booking["conflict"] == "refuse" and len(fits) < len(stays)
            for begin, end in [] if refused else fits:
                busy[room["name"]].append((begin - before, end + after))
                reserved.append({"key": booking["key"], "room": room["name"], "from": utc(begin), "to": utc(end)})
        return sorted(reserved, key=lambda one: (one["room"], one["from"]))


def utc(when):
    return when.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def write(name, rows):
    with open(HERE / name, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main():
    plan = Plan()
    for name in CAMPUSES:
        plan.campus(name)
    write("rooms.csv", plan.rooms)
    write("closures.csv", [{**c, "from": utc(c["from"]), "to": utc(c["to"])} for c in plan.closures])
    rows = []
    for booking in plan.bookings:
        zone = CAMPUSES[booking["campus"]]["zone"]
        rows.append({
            "key": booking["key"], "at": utc(booking["at"]), "user": booking["user"], "room": booking["room"],
            "from": moment(booking["first"], zone).astimezone(zone).isoformat(),
            "to": moment(booking["last"], zone).astimezone(zone).isoformat(),
            "people": booking["people"], "title": booking["title"], "recurrence": booking["recurrence"],
            "exceptions": " ".join(day.isoformat() for day in booking["exceptions"]),
            "conflict": booking["conflict"] if booking["recurrence"] else "",
        })
    write("bookings.csv", rows)
    write("expected.csv", plan.expected())


if __name__ == "__main__":
    main()
