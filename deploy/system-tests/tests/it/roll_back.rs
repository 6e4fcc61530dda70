//! An import over real bookings is rolled back while the services run.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    process::Output,
};

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use system_tests::{Answer, Client, Stack, until};
use tokio::process::Command;

/// Lines of the second import.
const LINES: usize = 3000;
/// Somebody goes on to use the rooms of this kind.
const IN_USE: &str = "Resort Hotel D";
const IMPORT: &str = "second-import";
const SIDE_BY_SIDE: usize = 16;
/// The years of the bookings, as far as one query reaches.
const RANGES: [(&str, &str); 3] = [
    ("2015-06-01T00:00:00Z", "2016-06-01T00:00:00Z"),
    ("2016-06-01T00:00:00Z", "2017-06-01T00:00:00Z"),
    ("2017-06-01T00:00:00Z", "2018-06-01T00:00:00Z"),
];

type Stays = BTreeMap<String, Value>;

/// What queries show, without versions and revisions.
#[derive(Debug, PartialEq)]
struct Shown {
    /// The stays of each room, by reservation.
    schedules: BTreeMap<String, Stays>,
    /// The stays of each user, by reservation.
    users: BTreeMap<String, Stays>,
    /// Popular rooms and busiest times of each range and kind.
    statistics: BTreeMap<String, Value>,
}

/// All pages of a list.
async fn list(client: &Client, path: &str, parameters: &[(&str, &str)]) -> Vec<Value> {
    let mut items = Vec::new();
    let mut cursor = None::<String>;
    loop {
        let mut parameters = [&[("limit", "500")], parameters].concat();
        parameters.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = client.get(path).with(&parameters).send().await.expect(200);
        items.extend_from_slice(page["items"].as_array().unwrap());
        match page["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return items,
        }
    }
}

/// The stays in all ranges, by reservation.
async fn stays(client: &Client, path: &str) -> Stays {
    let mut stays = Stays::new();
    for (from, to) in RANGES {
        for mut stay in list(client, path, &[("from", from), ("to", to)]).await {
            for changing in ["revision", "version"] {
                stay.as_object_mut().unwrap().remove(changing);
            }
            stays.insert(stay["reservation"].as_str().unwrap().to_owned(), stay);
        }
    }
    stays
}

async fn shown(client: &Client, rooms: &BTreeMap<String, String>) -> Shown {
    let of_room = |room: String| async move {
        let stays = stays(client, &format!("/v1/rooms/{room}/schedule")).await;
        (room, stays)
    };
    let schedules: BTreeMap<String, Stays> =
        stream::iter(rooms.keys().cloned()).map(of_room).buffer_unordered(SIDE_BY_SIDE).collect().await;
    let users: BTreeSet<String> = schedules
        .values()
        .flat_map(Stays::values)
        .map(|stay| stay["reservedBy"].as_str().unwrap().to_owned())
        .collect();
    let of_user = |user: String| async move {
        let stays = stays(client, &format!("/v1/users/{user}/reservations")).await;
        (user, stays)
    };
    let users = stream::iter(users).map(of_user).buffer_unordered(SIDE_BY_SIDE).collect().await;
    Shown { schedules, users, statistics: statistics(client, rooms).await }
}

/// Popular rooms and busiest times of each range and kind that nobody goes on to use.
async fn statistics(client: &Client, rooms: &BTreeMap<String, String>) -> BTreeMap<String, Value> {
    client.sees_counted(rooms.keys().map(String::as_str)).await;
    let mut statistics = BTreeMap::new();
    let kinds: BTreeSet<&String> = rooms.values().collect();
    for kind in kinds.into_iter().filter(|kind| *kind != IN_USE) {
        for (from, to) in RANGES {
            for statistic in ["popular-rooms", "busiest-times"] {
                let path = format!("/v1/statistics/{statistic}");
                let mut items = list(client, &path, &[("from", from), ("to", to), ("kind", kind)]).await;
                // A room in which nothing is left may stay on the list.
                items.retain(|item| item["minutes"] != json!(0));
                statistics.insert(format!("{statistic} of {kind} from {from}"), json!(items));
            }
        }
    }
    statistics
}

/// The time of the last command in a room, in milliseconds. Where nobody has booked: any within the ranges.
async fn last_command(client: &Client, room: &str) -> i64 {
    let events = client.events(room).await;
    let about = events.iter().filter(|event| event["data"].get("reservation").is_some());
    about.map(|event| moment(event["time"].as_str().unwrap())).max().unwrap_or_else(|| moment(RANGES[2].0))
}

fn moment(text: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
}

fn text(millis: i64) -> String {
    chrono::DateTime::from_timestamp_millis(millis).unwrap().format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

const HOUR: i64 = 3_600_000;

/// The lines of the second import, and of what somebody does afterwards.
fn lines(
    shown: &Shown,
    rooms: &BTreeMap<String, String>,
    last: &HashMap<String, i64>,
) -> (Vec<Value>, Vec<Value>, BTreeSet<String>) {
    let (mut import, mut later, mut touched) = (Vec::new(), Vec::new(), BTreeSet::new());
    let line = |room: &str, n: i64, user: &str, command: &str| {
        let at = text(last[room] + 1000 * (n + 1));
        json!({"key": format!("{room}/{n}"), "at": at, "user": user, "command": command})
    };
    let with = |mut line: Value, more: Value| {
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        line
    };
    let share = LINES.div_ceil(rooms.len());
    for (room, kind) in rooms {
        let mut n = 0;
        let ahead = shown.schedules[room]
            .iter()
            .filter(|(_, stay)| moment(stay["from"].as_str().unwrap()) > last[room] + HOUR);
        for (place, (id, stay)) in ahead.enumerate().take(share - 2) {
            let owner = stay["reservedBy"].as_str().unwrap();
            let (from, to) = (moment(stay["from"].as_str().unwrap()), moment(stay["to"].as_str().unwrap()));
            if place % 2 == 0 {
                import.push(with(line(room, n, owner, "cancel"), json!({"reservation": id})));
                if kind == IN_USE {
                    // Somebody takes the time.
                    let more = json!({"room": room, "from": text(from).replace(".000", ""),
                        "to": text(to).replace(".000", ""), "people": 1});
                    later.push(with(line(room, n + 100, "bob", "reserve"), more));
                    touched.insert(id.clone());
                }
            } else {
                let earlier = text(to - 2 * HOUR).replace(".000", "");
                import.push(with(
                    line(room, n, owner, "reschedule"),
                    json!({"reservation": id, "to": earlier}),
                ));
                if kind == IN_USE {
                    let more = json!({"reservation": id, "people": 1});
                    later.push(with(line(room, n + 100, owner, "reschedule"), more));
                    touched.insert(id.clone());
                }
            }
            n += 1;
        }
        let begin = last[room] / HOUR * HOUR;
        while n < i64::try_from(share).unwrap() && import.len() < LINES {
            let from = begin + (n + 2) * 29 * HOUR;
            let more = json!({"room": room, "from": text(from).replace(".000", ""),
                "to": text(from + 3 * HOUR).replace(".000", ""), "people": 1});
            import.push(with(line(room, n, "mallory", "reserve"), more));
            n += 1;
        }
    }
    import.truncate(LINES);
    (import, later, touched)
}

async fn sends(client: &Client, lines: &[Value], correlation: &str) -> Vec<Value> {
    let file: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let answers = client.import(&file).header("X-Request-Id", correlation).send().await.lines();
    assert_eq!(answers.len(), lines.len());
    answers
}

/// The last version of each room.
async fn heads(client: &Client) -> BTreeMap<String, u64> {
    let mut heads = BTreeMap::new();
    let mut path = "/v1/streams?limit=500".to_owned();
    loop {
        let page = client.command(reqwest::Method::GET, &path).send().await.expect(200);
        for head in page["items"].as_array().unwrap() {
            heads.insert(head["room"].as_str().unwrap().to_owned(), head["version"].as_u64().unwrap());
        }
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/streams?limit=500&cursor={next}"),
            None => return heads,
        }
    }
}

async fn number_of_events(client: &Client) -> u64 {
    heads(client).await.values().sum()
}

/// Waits until queries show every room at its last version.
async fn until_visible(client: &Client) {
    for (room, head) in heads(client).await {
        let shows = |answer: &Answer| answer.status == 200 && answer.json()["version"].as_u64() >= Some(head);
        let _ = client.until(&format!("/v1/rooms/{room}"), shows).await;
    }
}

fn report(output: &Output) -> Value {
    let parsed = serde_json::from_slice(&output.stdout);
    assert!(parsed.is_ok(), "{output:?}");
    parsed.unwrap()
}

const ARGUMENTS: [&str; 6] =
    ["roll-back", "--correlation", IMPORT, "--since", "2020-01-01T00:00:00Z", "--json"];

/// An import over the bookings of the demo.
struct Mistake {
    /// With their kinds.
    rooms: BTreeMap<String, String>,
    /// What queries showed before it.
    before: Shown,
    /// The reservations that somebody made or changed after it.
    touched: BTreeSet<String>,
    /// Commands of the import that had an effect.
    done: usize,
}

/// Replays the demo and imports over it. Somebody goes on afterwards.
async fn make_a_mistake(stack: &Stack) -> Mistake {
    let output = stack.demo().output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let client = stack.client();
    let text = |room: &Value, name: &str| room[name].as_str().unwrap().to_owned();
    let rooms = list(&client, "/v1/rooms", &[]).await;
    let rooms: BTreeMap<String, String> =
        rooms.iter().map(|room| (text(room, "room"), text(room, "kind"))).collect();
    assert_eq!(rooms.len(), 448);
    let before = shown(&client, &rooms).await;
    let mut last = HashMap::new();
    for room in rooms.keys() {
        last.insert(room.clone(), last_command(&client, room).await);
    }
    let (import, later, mut touched) = lines(&before, &rooms, &last);
    assert_eq!(import.len(), LINES);
    let answers = sends(&client, &import, IMPORT).await;
    let done = answers.iter().filter(|answer| answer["outcome"] == "done").count();
    assert!(
        done > LINES / 2,
        "{done} of {LINES} lines had an effect: {:?}",
        answers.iter().find(|answer| answer["outcome"] != "done")
    );
    let answers = sends(&client, &later, "somebody-else").await;
    for (line, answer) in later.iter().zip(&answers) {
        if answer["outcome"] == "done" && line["command"] == "reserve" {
            touched.insert(answer["reservation"].as_str().unwrap().to_owned());
        }
    }
    assert!(answers.iter().filter(|answer| answer["outcome"] == "done").count() > 5, "{answers:?}");
    until_visible(&client).await;
    assert_ne!(statistics(&client, &rooms).await, before.statistics);
    Mistake { rooms, before, touched, done }
}

impl Mistake {
    /// Everything that nobody touched since is as before, and each refusal is told.
    async fn is_taken_back(&self, client: &Client, report: &Value) {
        let changes = report["changes"].as_array().unwrap();
        assert_eq!(changes.len(), self.done, "each change of the import is listed");
        let refused: Vec<&Value> = changes.iter().filter(|change| change["takenBack"] == false).collect();
        assert!(refused.len() > 5, "{refused:?}");
        for change in &refused {
            let (id, outcome) =
                (change["reservation"].as_str().unwrap(), change["outcome"].as_str().unwrap());
            assert!(self.touched.contains(id), "{change}");
            let known = ["left: it was changed since", "refused: the room is reserved from"];
            assert!(known.iter().any(|known| outcome.starts_with(known)), "{change}");
        }
        until_visible(client).await;
        let after = shown(client, &self.rooms).await;
        let untouched = |stays: &Stays| -> Stays {
            stays
                .iter()
                .filter(|(id, _)| !self.touched.contains(*id))
                .map(|(id, stay)| (id.clone(), stay.clone()))
                .collect()
        };
        for (one, other) in [(&self.before.schedules, &after.schedules), (&self.before.users, &after.users)] {
            for (of, before) in one {
                let after = other.get(of).map(untouched).unwrap_or_default();
                assert_eq!(after, untouched(before), "{of}");
            }
        }
        assert!(after.users.keys().all(|user| self.before.users.contains_key(user) || user == "bob"));
        for (of, before) in &self.before.statistics {
            assert_eq!(&after.statistics[of], before, "{of}");
        }
    }
}

#[tokio::test]
async fn an_import_over_real_bookings_is_rolled_back_and_all_that_nobody_touched_is_as_before() {
    let stack = Stack::real(2).await;
    let mistake = make_a_mistake(&stack).await;
    let client = stack.client();
    let run = |arguments: &[&str]| -> Command { stack.commands[0].command(arguments) };
    let events = number_of_events(&client).await;
    let trial = report(&run(&[&ARGUMENTS[..], &["--dry-run"]].concat()).output().await.unwrap());
    assert_eq!(number_of_events(&client).await, events, "a trial changes nothing");
    // It is killed when its first effects are there.
    let mut killed = run(&ARGUMENTS).spawn().unwrap();
    until(async || match number_of_events(&client).await {
        now if now > events => Ok(()),
        now => Err(format!("{now} events, as before")),
    })
    .await;
    killed.kill().await.unwrap();
    let half_way = number_of_events(&client).await - events;
    let output = run(&ARGUMENTS).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1), "some changes are left: {output:?}");
    let first = report(&output);
    let all = number_of_events(&client).await - events;
    assert!(half_way < all, "it was killed too late: {half_way} of {all}");
    mistake.is_taken_back(&client, &first).await;
    assert_eq!(trial["changes"].as_array().unwrap().len(), first["changes"].as_array().unwrap().len());
    // Once more, it is the same run.
    let again = report(&run(&ARGUMENTS).output().await.unwrap());
    assert_eq!(again, first);
    assert_eq!(number_of_events(&client).await, events + all);
}

#[tokio::test]
async fn the_embedded_default_rolls_an_import_back_while_it_is_stopped() {
    let mut stack = Stack::embedded().await;
    let mistake = make_a_mistake(&stack).await;
    let refused = stack.commands[0].command(&ARGUMENTS).output().await.unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("another process works in"), "{refused:?}");
    assert!(stack.commands[0].stop().await.success());
    let output = stack.commands[0].command(&ARGUMENTS).output().await.unwrap();
    let report = report(&output);
    stack.commands[0].start_ready(&[]).await;
    mistake.is_taken_back(&stack.client(), &report).await;
}
