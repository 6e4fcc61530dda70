//! Waits until all read models are level, and reads the evidence.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use uuid::Uuid;

use super::{
    evidence::{Event, Evidence, Scheduled, Shown, streams},
    record::Stay,
    world::World,
};
use crate::{kafka, mongo, mysql};

/// The longest time from the last fault until everything is visible.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// What statistics count, in the order of [`Counts`](super::evidence::Counts).
const MEASURES: [&str; 3] = ["minutes", "reservations", "people"];
/// The range of all stays.
const YEAR: &str = "from=2031-01-01T00:00:00Z&to=2032-01-01T00:00:00Z";

/// Waits until the outbox is empty and both query services show the last version of every room. Returns the time that
/// took, or none after two minutes. The checker finds what is missing then.
pub(crate) async fn until_level(world: &World) -> Option<Duration> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if is_level(world).await.unwrap_or(false) {
            return Some(start.elapsed());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    None
}

async fn is_level(world: &World) -> Result<bool> {
    if mysql::rows(&world.database_url(), "outbox").await? > 0 {
        return Ok(false);
    }
    let heads = mysql::heads(&world.database_url()).await?;
    for url in &world.query_urls {
        for (room, head) in &heads {
            if room_of(url, *room).await?.0 < *head || !is_counted(url, *room).await? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Whether statistics count all that is shown of a room, a moment later.
async fn is_counted(url: &str, room: Uuid) -> Result<bool> {
    let shown = as_admin(client()?.get(format!("{url}/v1/rooms/{room}"))).send().await?;
    let token = shown.headers().get("Consistency-Token").context("a room without a token")?;
    let path = "/v1/statistics/popular-rooms?from=2031-01-01T00:00:00Z&to=2031-01-01T00:01:00Z&limit=1";
    let counted =
        as_admin(client()?.get(format!("{url}{path}"))).header("Consistency-Token", token).send().await?;
    Ok(counted.status().is_success())
}

pub(crate) async fn evidence(world: &World, topic_emptied: Option<u64>) -> Result<Evidence> {
    let streams = streams(mysql::events(&world.database_url()).await?)?;
    let topic = kafka::messages(&world.brokers(), World::database()).await.context("reading the topic")?;
    let documents = mongo::documents(&world.mongodb_url(), World::database()).await?;
    let mut all = Vec::new();
    for (instance, url) in world.query_urls.iter().enumerate() {
        all.push(shown(instance, url, &streams).await?);
    }
    Ok(Evidence { streams, topic, topic_emptied, documents, shown: all })
}

fn client() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?)
}

fn as_admin(request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
    request.header("X-User", "checker").header("X-Roles", "admin")
}

async fn get(url: &str, path: &str) -> Result<Value> {
    let answer = as_admin(client()?.get(format!("{url}{path}"))).send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    ensure!(status.is_success(), "{path}: {status}: {text}");
    Ok(serde_json::from_str(&text)?)
}

/// All items of a list.
async fn list(url: &str, path: &str) -> Result<Vec<Value>> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = get(url, &format!("{path}&limit=500{cursor}")).await?;
        items.extend(page["items"].as_array().context("no list")?.iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(items),
        }
    }
}

/// Version and kind of a room.
async fn room_of(url: &str, room: Uuid) -> Result<(u64, String)> {
    let room = get(url, &format!("/v1/rooms/{room}")).await?;
    let version = room["version"].as_u64().context("a room without version")?;
    Ok((version, room["kind"].as_str().context("a room without kind")?.to_owned()))
}

async fn shown(instance: usize, url: &str, streams: &BTreeMap<Uuid, Vec<Event>>) -> Result<Shown> {
    let mut shown = Shown { instance, ..Shown::default() };
    let mut kinds: Vec<&str> = Vec::new();
    for (room, events) in streams {
        shown.rooms.insert(*room, room_of(url, *room).await?);
        let stays = list(url, &format!("/v1/rooms/{room}/schedule?{YEAR}")).await?;
        let mut stays = stays.iter().map(stay).collect::<Result<Vec<_>>>()?;
        stays.sort_unstable_by_key(|stay| stay.id);
        shown.schedules.insert(*room, stays);
        shown.closures.insert(*room, closures(url, *room).await?);
        kinds.extend(events.first().and_then(|event| event.room_kind.as_deref()));
    }
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        for room in list(url, &format!("/v1/statistics/popular-rooms?{YEAR}&kind={kind}")).await? {
            let [minutes, reservations, people] = MEASURES.map(|measure| number(&room, measure));
            shown.popular.insert(id(&room, "room")?, [minutes?, reservations?, people?]);
        }
        for (place, measure) in MEASURES.iter().enumerate() {
            let path = format!("/v1/statistics/busiest-times?{YEAR}&kind={kind}&measure={measure}");
            for hour in list(url, &path).await? {
                let count = number(&hour, measure)?;
                if count > 0 {
                    let at = (kind.to_owned(), number(&hour, "weekday")?, number(&hour, "hour")?);
                    shown.busiest.entry(at).or_default()[place] = count;
                }
            }
        }
    }
    Ok(shown)
}

fn id(value: &Value, name: &str) -> Result<Uuid> {
    Ok(value[name].as_str().with_context(|| format!("no {name}"))?.parse()?)
}

fn number(value: &Value, name: &str) -> Result<i64> {
    value[name].as_i64().with_context(|| format!("no {name}"))
}

fn stay(value: &Value) -> Result<Scheduled> {
    let stay = Stay::read(&value["from"], &value["to"]).context("no stay")?;
    let busy = value.get("busyFrom").map(|_| Stay::read(&value["busyFrom"], &value["busyTo"]));
    Ok(Scheduled {
        id: id(value, "reservation")?,
        revision: value["revision"].as_u64().context("no revision")?,
        stay,
        busy: busy.unwrap_or(Some(stay)).context("no busy time")?,
        user: value["reservedBy"].as_str().context("no owner")?.to_owned(),
        booker: value["bookedBy"].as_str().map(str::to_owned),
        series: value.get("series").map(|_| id(value, "series")).transpose()?,
        title: value["title"].as_str().unwrap_or_default().to_owned(),
        people: number(value, "people")?,
    })
}

/// The live closures of a room, by id.
async fn closures(url: &str, room: Uuid) -> Result<Vec<(Uuid, Stay)>> {
    let schedule = get(url, &format!("/v1/rooms/{room}/schedule?{YEAR}&limit=1")).await?;
    let closures = schedule["closures"].as_array().context("no closures")?.iter();
    let mut closures = closures
        .map(|value| {
            Ok((id(value, "closure")?, Stay::read(&value["from"], &value["to"]).context("no time")?))
        })
        .collect::<Result<Vec<_>>>()?;
    closures.sort_unstable_by_key(|(id, _)| *id);
    Ok(closures)
}
