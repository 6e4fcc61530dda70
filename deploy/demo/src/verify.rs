//! Reads everything back through the query API and compares it with the record.

use std::{
    collections::{BTreeMap, HashMap},
    error::Error,
};

use anyhow::{bail, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;

use crate::{
    api::{Api, minute},
    plan::{Minute, Stay, rfc3339},
    record::{Record, Reserved, Room},
    recount::{self, Calendar, Counts},
    replay::SIDE_BY_SIDE,
};

/// The longest range of the API by dates: 32 days.
const LONGEST_RANGE_BY_DATE: Minute = 32 * 24 * 60;
/// The longest range of the API: 366 days.
const LONGEST_RANGE: Minute = 366 * 24 * 60;

/// A reservation in a query's answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    #[serde(alias = "id")]
    reservation: String,
    #[serde(default)]
    room: Option<String>,
    from: String,
    to: String,
    people: u32,
    revision: u64,
    reserved_by: String,
}

/// A history entry.
#[derive(Debug, Deserialize)]
struct Done {
    reservation: String,
    revision: u64,
    time: String,
}

#[derive(Debug, Deserialize)]
struct Popular {
    room: String,
    name: String,
    minutes: i64,
    reservations: u64,
    people: u64,
    occupancy: f64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Booked {
    kind: String,
    reservations: u64,
    cancelled: u64,
    cancellation_rate: Option<f64>,
    made: u64,
    lead_minutes: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Busy {
    weekday: Option<u32>,
    date: Option<String>,
    hour: u32,
    #[serde(flatten)]
    count: HashMap<String, i64>,
}

/// A reservation for comparison: (from, to, id, user, people, revision).
type Entry = (Minute, Minute, String, String, u32, u64);

/// Compares everything. Returns a summary, or the first difference as an error.
pub(crate) async fn verify(api: &Api, record: &Record) -> anyhow::Result<String> {
    let span = Stay {
        from: record.live().map(|reserved| reserved.stay.from).min().unwrap_or_default(),
        to: record.live().map(|reserved| reserved.stay.to).max().unwrap_or_default(),
    };
    ensure!(span.from < span.to, "there is nothing to verify");
    let windows = windows(span);
    let reservations = schedules(api, record, &windows).await?;
    let users = users(api, record, &windows).await?;
    let ranges = statistics(api, record, span, &windows).await?;
    Ok(format!(
        "{reservations} reservations in {} schedules without overlap, history and reservations of {users} users, \
         popularity, busiest times and bookings of {ranges} ranges",
        record.rooms.len()
    ))
}

/// Splits a span into ranges that the API accepts.
fn windows(span: Stay) -> Vec<Stay> {
    let mut windows = Vec::new();
    let mut from = span.from;
    while from < span.to {
        let to = span.to.min(from + LONGEST_RANGE);
        windows.push(Stay { from, to });
        from = to;
    }
    windows
}

fn entry_of(reserved: &Reserved) -> Entry {
    let Reserved { id, user, people, stay, revision, .. } = reserved;
    (stay.from, stay.to, id.clone(), user.clone(), *people, *revision)
}

fn overlaps(stay: Stay, window: Stay) -> bool {
    stay.from < window.to && window.from < stay.to
}

fn entry(shown: Shown) -> anyhow::Result<Entry> {
    let Shown { reservation, from, to, people, revision, reserved_by, .. } = shown;
    Ok((minute(&from)?, minute(&to)?, reservation, reserved_by, people, revision))
}

/// Fails with the first difference.
fn same<T: Ord + std::fmt::Debug>(of: &str, mut expected: Vec<T>, mut shown: Vec<T>) -> anyhow::Result<()> {
    expected.sort_unstable();
    shown.sort_unstable();
    for (expected, shown) in expected.iter().zip(&shown) {
        ensure!(expected == shown, "{of}: expected {expected:?}, but it shows {shown:?}");
    }
    if let Some(missing) = expected.get(shown.len()) {
        bail!("{of}: {missing:?} is missing");
    }
    if let Some(extra) = shown.get(expected.len()) {
        bail!("{of}: {extra:?} should not be there");
    }
    Ok(())
}

async fn schedules(api: &Api, record: &Record, windows: &[Stay]) -> anyhow::Result<usize> {
    let mut by_room = HashMap::<&str, Vec<&Reserved>>::new();
    for reserved in record.live() {
        by_room.entry(&reserved.room).or_default().push(reserved);
    }
    let by_room = &by_room;
    let counts: Vec<usize> = stream::iter(&record.rooms)
        .map(|(id, room)| async move {
            let reserved = by_room.get(id.as_str()).map_or(&[][..], Vec::as_slice);
            schedule(api, id, room, reserved, windows).await
        })
        .buffer_unordered(SIDE_BY_SIDE)
        .try_collect()
        .await?;
    Ok(counts.iter().sum())
}

async fn schedule(
    api: &Api,
    id: &str,
    room: &Room,
    reserved: &[&Reserved],
    windows: &[Stay],
) -> anyhow::Result<usize> {
    let mut all = BTreeMap::<(Minute, Minute, String), ()>::new();
    for window in windows {
        let (from, to) = (rfc3339(window.from)?, rfc3339(window.to)?);
        let items: Vec<Shown> =
            api.list(&["v1", "rooms", id, "schedule"], &[("from", &from), ("to", &to)]).await?;
        let items = items.into_iter().map(entry).collect::<anyhow::Result<Vec<_>>>()?;
        let of = format!("schedule of {} from {from} to {to}", room.name);
        ensure!(items.is_sorted_by_key(|item| item.0), "{of} is not in order");
        all.extend(items.iter().map(|item| ((item.0, item.1, item.2.clone()), ())));
        let expected = reserved.iter().filter(|reserved| overlaps(reserved.stay, *window));
        same(&of, expected.map(|reserved| entry_of(reserved)).collect(), items)?;
    }
    let shown = api.shown_version(id).await?.unwrap_or_default();
    ensure!(
        shown == room.version,
        "{} is at version {shown}, but its last answer left it at {}: somebody else was here",
        room.name,
        room.version
    );
    let in_order: Vec<_> = all.into_keys().collect();
    for (earlier, later) in in_order.iter().zip(in_order.iter().skip(1)) {
        ensure!(earlier.1 <= later.0, "{}: {earlier:?} and {later:?} overlap", room.name);
    }
    Ok(in_order.len())
}

async fn users(api: &Api, record: &Record, windows: &[Stay]) -> anyhow::Result<usize> {
    let mut by_user = HashMap::<&str, Vec<&Reserved>>::new();
    for reserved in record.live() {
        by_user.entry(&reserved.user).or_default().push(reserved);
    }
    let by_user = &by_user;
    stream::iter(&record.history)
        .map(|(user, done)| async move {
            let items: Vec<Done> = api.list(&["v1", "users", user, "history"], &[]).await?;
            let times = items.iter().map(|item| moment(&item.time)).collect::<anyhow::Result<Vec<_>>>()?;
            ensure!(
                times.is_sorted_by(|later, earlier| later >= earlier),
                "history of {user} is not newest first"
            );
            let items = items.into_iter().map(|item| (item.reservation, item.revision)).collect();
            same(&format!("history of {user}"), done.clone(), items)?;

            let reserved = by_user.get(user.as_str()).map_or(&[][..], Vec::as_slice);
            for window in windows {
                users_reservations(api, user, reserved, *window).await?;
            }
            anyhow::Ok(())
        })
        .buffer_unordered(SIDE_BY_SIDE)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(record.history.len())
}

async fn users_reservations(
    api: &Api,
    user: &str,
    reserved: &[&Reserved],
    window: Stay,
) -> anyhow::Result<()> {
    let (from, to) = (rfc3339(window.from)?, rfc3339(window.to)?);
    let items: Vec<Shown> =
        api.list(&["v1", "users", user, "reservations"], &[("from", &from), ("to", &to)]).await?;
    let of = format!("reservations of {user} from {from} to {to}");
    let with_room = |room: &str, (from, to, id, _, people, revision): Entry| {
        (from, to, id, room.to_owned(), people, revision)
    };
    let items = items
        .into_iter()
        .map(|item| Ok(with_room(&item.room.clone().unwrap_or_default(), entry(item)?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    ensure!(items.is_sorted_by_key(|item| item.0), "{of} are not in order");
    let expected = reserved.iter().filter(|reserved| overlaps(reserved.stay, window));
    same(&of, expected.map(|reserved| with_room(&reserved.room, entry_of(reserved))).collect(), items)
}

/// Ranges of whole days, other ranges, and ranges across changes of daylight saving time.
fn ranges(span: Stay, windows: &[Stay]) -> anyhow::Result<Vec<Stay>> {
    let mut ranges = windows.to_vec();
    for (from, to) in [
        ("2015-08-01T00:00:00+01:00", "2015-09-01T00:00:00+01:00"),
        ("2015-10-24T23:17:00+01:00", "2015-10-25T03:41:00+00:00"),
        ("2015-10-25T01:30:00+01:00", "2015-10-25T01:30:00+00:00"),
        ("2016-03-26T13:07:00+00:00", "2016-03-28T11:59:00+01:00"),
        ("2016-06-30T14:59:00+01:00", "2016-07-01T11:01:00+01:00"),
        ("2016-12-31T23:59:00+00:00", "2017-01-01T00:00:00+00:00"),
        ("2016-02-28T17:23:00+00:00", "2017-01-03T05:19:00+00:00"),
    ] {
        ranges.push(Stay { from: minute(from)?, to: minute(to)? });
    }
    // The calendar covers the span only.
    ranges.retain(|range| span.from <= range.from && range.to <= span.to);
    Ok(ranges)
}

async fn statistics(api: &Api, record: &Record, span: Stay, windows: &[Stay]) -> anyhow::Result<usize> {
    let calendar = Calendar::of(span)?;
    let ranges = ranges(span, windows)?;
    let kinds = [None, Some("City Hotel A"), Some("Resort Hotel P")];
    for range in &ranges {
        for kind in kinds {
            popular_rooms(api, record, *range, kind).await?;
            busiest_times(api, record, &calendar, *range, kind).await?;
            bookings(api, record, *range, kind).await?;
        }
    }
    Ok(ranges.len())
}

async fn popular_rooms(api: &Api, record: &Record, range: Stay, kind: Option<&str>) -> anyhow::Result<()> {
    let (from, to) = (rfc3339(range.from)?, rfc3339(range.to)?);
    let mut query = vec![("from", from.as_str()), ("to", &to)];
    query.extend(kind.map(|kind| ("kind", kind)));
    let items: Vec<Popular> = api.list(&["v1", "statistics", "popular-rooms"], &query).await?;
    let of = format!("popular rooms of {kind:?} from {from} to {to}");
    ensure!(items.is_sorted_by(|more, less| more.minutes >= less.minutes), "{of} are not in order");
    let expected = recount::popularity(record, range, kind)
        .into_iter()
        .map(|(room, counted)| {
            let name = record.rooms.get(&room).map(|room| room.name.clone()).unwrap_or_default();
            (room, name, counted.minutes, counted.reservations, counted.people)
        })
        .collect();
    for item in &items {
        // The rooms are always open.
        let open = as_number(range.to - range.from)?;
        let differs = (item.occupancy * open - as_number(item.minutes)?).abs() > ROUNDED * open;
        ensure!(
            !differs,
            "{of}: {} has {} minutes, but an occupancy of {}",
            item.name,
            item.minutes,
            item.occupancy
        );
    }
    let items = items.into_iter().map(|it| (it.room, it.name, it.minutes, it.reservations, it.people));
    same(&of, expected, items.collect())
}

/// How far a share of the API, which has four digits, may be from the exact one.
const ROUNDED: f64 = 0.000_05 + 1e-9;

fn as_number(count: impl TryInto<u32, Error: Error + Send + Sync + 'static>) -> anyhow::Result<f64> {
    Ok(f64::from(count.try_into()?))
}

async fn bookings(api: &Api, record: &Record, range: Stay, kind: Option<&str>) -> anyhow::Result<()> {
    let (from, to) = (rfc3339(range.from)?, rfc3339(range.to)?);
    let mut query = vec![("from", from.as_str()), ("to", &to)];
    query.extend(kind.map(|kind| ("kind", kind)));
    let items: Vec<Booked> = api.list(&["v1", "statistics", "kinds"], &query).await?;
    let of = format!("bookings of {kind:?} from {from} to {to}");
    for item in &items {
        let all = as_number(item.reservations + item.cancelled)?;
        let rate = item.cancellation_rate.unwrap_or_default();
        let is_right = item.cancellation_rate.is_some() == (all > 0.0)
            && (rate * all - as_number(item.cancelled)?).abs() <= ROUNDED * all;
        ensure!(
            is_right,
            "{of}: of {} and {} cancelled, {} has a cancellation rate of {:?}",
            item.reservations,
            item.cancelled,
            item.kind,
            item.cancellation_rate
        );
    }
    let shown =
        items.into_iter().map(|it| (it.kind, it.reservations, it.cancelled, it.made, it.lead_minutes));
    let expected = recount::bookings(record, range, kind).into_iter().map(|(kind, counted)| {
        let lead = (counted.lead_ms / 60_000).checked_div(i64::try_from(counted.made)?);
        anyhow::Ok((kind, counted.reservations, counted.cancelled, counted.made, lead))
    });
    same(&of, expected.collect::<anyhow::Result<_>>()?, shown.collect())
}

async fn busiest_times(
    api: &Api,
    record: &Record,
    calendar: &Calendar,
    range: Stay,
    kind: Option<&str>,
) -> anyhow::Result<()> {
    let (from, to) = (rfc3339(range.from)?, rfc3339(range.to)?);
    let hours = recount::by_hour(record, calendar, range, kind)?;
    let mut tables = vec![("weekday", recount::by_weekday(&hours))];
    if range.to - range.from <= LONGEST_RANGE_BY_DATE {
        tables.push(("date", recount::by_date(&hours)?));
    }
    for (by, expected) in tables {
        for measure in ["minutes", "reservations", "people"] {
            let mut query = vec![("from", from.as_str()), ("to", &to), ("by", by), ("measure", measure)];
            query.extend(kind.map(|kind| ("kind", kind)));
            let items: Vec<Busy> = api.list(&["v1", "statistics", "busiest-times"], &query).await?;
            let shown = items.into_iter().map(|item| {
                let day = item.date.or(item.weekday.map(|day| day.to_string())).unwrap_or_default();
                ((day, item.hour), item.count.get(measure).copied().unwrap_or_default())
            });
            let of_measure = |counts: &Counts| match measure {
                "minutes" => counts.minutes,
                "reservations" => counts.reservations,
                _ => counts.people,
            };
            let expected = expected.iter().map(|(at, counts)| (at.clone(), of_measure(counts))).collect();
            let of = format!("busiest times by {by} of {kind:?} from {from} to {to}: {measure}");
            same(&of, expected, shown.collect())?;
        }
    }
    Ok(())
}

fn moment(text: &str) -> anyhow::Result<chrono::DateTime<chrono::FixedOffset>> {
    Ok(chrono::DateTime::parse_from_rfc3339(text)?)
}
