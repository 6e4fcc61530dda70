//! The second input: a university's timetable, which is series. Every occurrence is compared with `expected.csv`, which another
//! program expanded.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    api::{Answer, Api, Outcome, minute},
    plan::{Minute, Stay},
};

/// How these are made is in `data/README.md`.
const ROOMS: &str = include_str!("../data/timetable/rooms.csv");
const CLOSURES: &str = include_str!("../data/timetable/closures.csv");
const BOOKINGS: &str = include_str!("../data/timetable/bookings.csv");
const EXPECTED: &str = include_str!("../data/timetable/expected.csv");
/// All bookings lie in this year.
const YEAR: [(&str, &str); 2] = [("from", "2031-01-01T00:00:00Z"), ("to", "2032-01-01T00:00:00Z")];
/// The keys of the requests begin with it.
const KEYS: &str = "timetable";

#[derive(Debug, Deserialize)]
struct Room {
    name: String,
    kind: String,
    campus: String,
    capacity: u32,
    zone: String,
    before: u32,
    after: u32,
}

#[derive(Debug, Deserialize)]
struct Closure {
    campus: String,
    from: String,
    to: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
struct Booking {
    key: String,
    at: String,
    user: String,
    room: String,
    from: String,
    to: String,
    people: u32,
    title: String,
    recurrence: String,
    /// Dates with a space between them.
    exceptions: String,
    conflict: String,
}

/// An occurrence that has to be reserved.
#[derive(Debug, Deserialize)]
struct Expected {
    key: String,
    room: String,
    from: String,
    to: String,
}

/// A reservation as a schedule shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    from: String,
    to: String,
    #[serde(default)]
    busy_from: Option<String>,
    #[serde(default)]
    busy_to: Option<String>,
    title: String,
    reserved_by: String,
    people: u32,
    #[serde(default)]
    series: Option<String>,
}

/// An occurrence for comparison: times with and without buffers, title, user, people, and whether it is of a series.
type Entry = (Minute, Minute, Minute, Minute, String, String, u32, bool);

fn rows<T: DeserializeOwned>(csv: &str) -> anyhow::Result<Vec<T>> {
    let rows = csv::Reader::from_reader(csv.as_bytes()).into_deserialize().collect::<Result<_, _>>();
    rows.context("the timetable in deploy/demo/data can't be read")
}

impl Booking {
    /// Its line of the import.
    fn line(&self, room: &str) -> Value {
        let Self { key, at, user, from, to, people, title, .. } = self;
        if self.recurrence.is_empty() {
            return json!({
                "key": key, "at": at, "user": user, "command": "reserve", "room": room,
                "from": from, "to": to, "people": people, "title": title,
            });
        }
        let exceptions: Vec<&str> = self.exceptions.split_whitespace().collect();
        json!({
            "key": key, "at": at, "user": user, "command": "reserveSeries", "room": room,
            "from": from, "to": to, "people": people, "title": title,
            "recurrence": self.recurrence, "exceptions": exceptions, "onConflict": self.conflict,
        })
    }
}

/// Registers the rooms, closes them on holidays, imports all bookings, and compares every occurrence.
pub(crate) async fn replay(api: &Api) -> anyhow::Result<()> {
    let (rooms, closures) = (rows::<Room>(ROOMS)?, rows::<Closure>(CLOSURES)?);
    let (bookings, expected) = (rows::<Booking>(BOOKINGS)?, rows::<Expected>(EXPECTED)?);
    let ids = register(api, &rooms).await?;
    close(api, &rooms, &ids, &closures).await?;
    let made: BTreeSet<&str> = expected.iter().map(|occurrence| occurrence.key.as_str()).collect();
    let repeated = import(api, &ids, &bookings, &made).await?;
    let count = bookings.iter().filter(|booking| !booking.recurrence.is_empty()).count();
    println!(
        "{} rooms, {} holidays; {} bookings, {count} of them series: {} made, {} refused, {repeated} repeated",
        rooms.len(),
        closures.len(),
        bookings.len(),
        made.len(),
        bookings.len() - made.len(),
    );
    for room in &rooms {
        schedule(api, room, &ids, &bookings, &expected).await?;
    }
    println!("verified: {} occurrences in {} schedules", expected.len(), rooms.len());
    Ok(())
}

/// The ids of the rooms by their names.
async fn register(api: &Api, rooms: &[Room]) -> anyhow::Result<HashMap<String, String>> {
    let mut ids = HashMap::new();
    for Room { name, kind, capacity, zone, before, after, .. } in rooms {
        let body = json!({
            "name": name, "kind": kind, "capacity": capacity, "timeZone": zone,
            "bufferBefore": before, "bufferAfter": after,
        });
        let key = format!("{KEYS}/room/{}", name.replace(' ', "-"));
        ids.insert(name.clone(), api.register(&key, &body).await?.room);
    }
    Ok(ids)
}

async fn close(
    api: &Api,
    rooms: &[Room],
    ids: &HashMap<String, String>,
    closures: &[Closure],
) -> anyhow::Result<()> {
    for Closure { campus, from, to, reason } in closures {
        let of_campus = rooms.iter().filter(|room| room.campus == *campus);
        let of_campus: Vec<_> = of_campus.filter_map(|room| ids.get(&room.name)).collect();
        let body = json!({"rooms": of_campus, "from": from, "to": to, "reason": reason});
        let lines = api.close(&format!("{KEYS}/closure/{campus}/{from}"), &body).await?;
        for line in &lines {
            ensure!(matches!(line["status"].as_u64(), Some(200 | 201)), "closing for {reason}: {line}");
        }
        ensure!(lines.len() == of_campus.len(), "closing for {reason}: {} lines", lines.len());
    }
    Ok(())
}

/// Imports all bookings. Those of `made` have to be done, the others refused. Returns the number of outcomes of an earlier import.
async fn import(
    api: &Api,
    ids: &HashMap<String, String>,
    bookings: &[Booking],
    made: &BTreeSet<&str>,
) -> anyhow::Result<usize> {
    let mut lines = String::new();
    for booking in bookings {
        let room = ids.get(&booking.room).with_context(|| format!("no room {}", booking.room))?;
        lines.push_str(&booking.line(room).to_string());
        lines.push('\n');
    }
    let text = api.import(lines.into()).await?.text().await?;
    let answers = text.lines().map(serde_json::from_str).collect::<Result<Vec<Answer>, _>>();
    let answers = answers.with_context(|| format!("unreadable answers: {text}"))?;
    ensure!(answers.len() == bookings.len(), "{} answers to {} lines", answers.len(), bookings.len());
    let mut repeated = 0;
    for (booking, answer) in bookings.iter().zip(&answers) {
        let refused = match answer.outcome {
            Outcome::Failed => bail!("{} failed: {:?}", booking.key, answer.problem),
            outcome => {
                repeated += usize::from(outcome == Outcome::Repeated);
                answer.problem.is_some()
            }
        };
        let is_made = made.contains(booking.key.as_str());
        ensure!(refused != is_made, "{booking:?} was answered {answer:?}");
    }
    Ok(repeated)
}

/// Compares a room's schedule with what is expected of it.
async fn schedule(
    api: &Api,
    room: &Room,
    ids: &HashMap<String, String>,
    bookings: &[Booking],
    expected: &[Expected],
) -> anyhow::Result<()> {
    let id = ids.get(&room.name).context("a room that was not registered")?;
    let by_key: HashMap<&str, &Booking> =
        bookings.iter().map(|booking| (booking.key.as_str(), booking)).collect();
    let buffers = (Minute::from(room.before), Minute::from(room.after));
    let mut wanted = Vec::<Entry>::new();
    for Expected { key, from, to, .. } in expected.iter().filter(|expected| expected.room == room.name) {
        let booking = by_key.get(key.as_str()).with_context(|| format!("no booking {key}"))?;
        let Stay { from, to } = Stay { from: minute(from)?, to: minute(to)? };
        let (title, user) = (booking.title.clone(), booking.user.clone());
        let is_of_series = !booking.recurrence.is_empty();
        wanted.push((from, to, from - buffers.0, to + buffers.1, title, user, booking.people, is_of_series));
    }
    let shown: Vec<Shown> = api.list_until(&["v1", "rooms", id, "schedule"], &YEAR, wanted.len()).await?;
    let mut series: BTreeMap<&str, BTreeSet<&Option<String>>> = BTreeMap::new();
    for one in &shown {
        series.entry(&one.title).or_default().insert(&one.series);
    }
    let several = series.iter().find(|(_, series)| series.len() > 1);
    ensure!(
        several.is_none(),
        "{}: occurrences of one booking are in several series: {several:?}",
        room.name
    );
    let mut found = Vec::<Entry>::new();
    for one in shown {
        let (from, to) = (minute(&one.from)?, minute(&one.to)?);
        let busy_from = one.busy_from.as_deref().map_or(Ok(from), minute)?;
        let busy_to = one.busy_to.as_deref().map_or(Ok(to), minute)?;
        let is_of_series = one.series.is_some();
        found.push((from, to, busy_from, busy_to, one.title, one.reserved_by, one.people, is_of_series));
    }
    wanted.sort();
    found.sort();
    for (wanted, found) in wanted.iter().zip(&found) {
        ensure!(wanted == found, "{}: expected {wanted:?}, but it shows {found:?}", room.name);
    }
    ensure!(wanted.len() == found.len(), "{}: {} for {} occurrences", room.name, found.len(), wanted.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_hold_what_their_description_says() {
        let (bookings, expected) = (rows::<Booking>(BOOKINGS).unwrap(), rows::<Expected>(EXPECTED).unwrap());
        let made: BTreeSet<&str> = expected.iter().map(|one| one.key.as_str()).collect();
        assert_eq!(rows::<Room>(ROOMS).unwrap().len(), 24);
        assert_eq!(rows::<Closure>(CLOSURES).unwrap().len(), 8);
        assert_eq!((bookings.len(), made.len(), expected.len()), (455, 419, 4_476));
        let series = bookings.iter().filter(|booking| !booking.recurrence.is_empty());
        assert!(series.clone().count() > 300 && series.filter(|one| one.conflict == "refuse").count() == 20);
    }

    #[test]
    fn nights_have_the_lengths_that_clocks_give_them() {
        let expected = rows::<Expected>(EXPECTED).unwrap();
        let night = |key: &str, date: &str| -> Vec<Minute> {
            let of_night = expected.iter().filter(|one| one.key == key && one.from.starts_with(date));
            of_night.map(|one| minute(&one.to).unwrap() - minute(&one.from).unwrap()).collect()
        };
        // In Lisbon 01:10 is skipped, and so is all from 01:30 to 01:50.
        assert_eq!(
            (night("timetable/217", "2031-03-28"), night("timetable/217", "2031-03-29")),
            (vec![130], vec![120])
        );
        assert_eq!(
            (night("timetable/218", "2031-03-29"), night("timetable/218", "2031-03-30")),
            (vec![20], vec![])
        );
        // In Santiago 23:45 comes twice: the stay begins with the first.
        assert_eq!(
            (night("timetable/455", "2031-04-05"), night("timetable/455", "2031-04-06")),
            (vec![45], vec![105])
        );
    }
}
