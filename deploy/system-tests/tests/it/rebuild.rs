//! Rebuilds, rollbacks and drops of read models while the system works. Queries continue, and answer afterwards as before.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use futures_util::future::join_all;
use mongodb::bson::{Document, doc};
use serde_json::{Value, json};
use system_tests::{Client, Room, Stack, YEAR, hour_of_year, until};
use tokio::task::JoinHandle;

/// The end of an operator's command.
struct Ended {
    status: i32,
    text: String,
    errors: String,
}

impl Ended {
    #[track_caller]
    fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{}{}", self.text, self.errors);
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

async fn run(stack: &Stack, arguments: &[&str]) -> Ended {
    let output = stack.queries[0].command(arguments).output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { status: output.status.code().unwrap(), text: text(output.stdout), errors: text(output.stderr) }
}

/// Number and state of all generations.
async fn generations(stack: &Stack) -> Vec<(u64, String)> {
    let listed = run(stack, &["generations", "--json"]).await.expect(0).json();
    let row = |row: &Value| (row["number"].as_u64().unwrap(), row["state"].as_str().unwrap().to_owned());
    listed.as_array().unwrap().iter().map(row).collect()
}

fn states(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    expected.iter().map(|(number, state)| (*number, (*state).to_owned())).collect()
}

async fn database(stack: &Stack) -> mongodb::Database {
    let (url, name) = stack.read_models();
    mongodb::Client::with_uri_str(url).await.unwrap().database(name)
}

/// Waits until queries read a generation.
async fn until_shown(client: &Client, generation: u64) {
    let shown = format!("read_models_generation {generation}");
    let _ = client.until("/metrics", |answer| answer.text.lines().any(|line| line == shown)).await;
}

async fn schedule(client: &Client, room: &Room, token: &str) -> Vec<String> {
    let path = format!("/v1/rooms/{}/schedule?limit=500", room.id);
    let answer = client.get(&path).with(&YEAR).after(token).send().await.expect(200);
    let items = answer["items"].as_array().unwrap().iter();
    items.map(|item| item["reservation"].as_str().unwrap().to_owned()).collect()
}

/// Reserves in a room, gives some of it up, and after each command looks for everything that was answered so far.
async fn write_and_look(
    clients: [Client; 2],
    room: Room,
    written: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
) -> Vec<String> {
    let mut held: Vec<String> = Vec::new();
    for hour in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let (writer, reader) = (&clients[hour % 2], &clients[hour / 2 % 2]);
        let made = writer.reserve(&room.id, &hour_of_year(hour), &hour_of_year(hour + 1)).send().await;
        let mut token = made.token();
        held.push(made.expect(201)["reservation"].as_str().unwrap().to_owned());
        if hour % 5 == 4 || held.len() > 50 {
            let gone = held.remove(held.len() / 2);
            let path = format!("/v1/rooms/{}/reservations/{gone}", room.id);
            let cancelled = writer.command(reqwest::Method::DELETE, &path).send().await;
            token = cancelled.token();
            let _ = cancelled.expect(200);
        }
        written.fetch_add(1, Ordering::Relaxed);
        assert_eq!(schedule(reader, &room, &token).await, held, "an answer that was not whole");
    }
    held
}

/// What queries answer of all rooms.
async fn answers(client: &Client, rooms: &[Room]) -> Vec<Value> {
    client.sees_counted(rooms.iter().map(|room| room.id.as_str())).await;
    let mut answers = Vec::new();
    for room in rooms {
        let by_kind = [("kind", room.kind.as_str())];
        for path in ["/v1/statistics/popular-rooms", "/v1/statistics/busiest-times"] {
            answers.push(client.get(path).with(&YEAR).with(&by_kind).send().await.expect(200));
        }
        let path = format!("/v1/rooms/{}", room.id);
        answers.push(client.get(&path).send().await.expect(200));
    }
    let history = client.get("/v1/me/history?limit=500").send().await.expect(200);
    answers.push(history);
    answers
}

/// Rooms that are written and looked at all the time.
struct Load {
    rooms: Vec<Room>,
    written: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    async fn start(clients: [Client; 2]) -> Self {
        let rooms = join_all((0..4).map(|_| clients[0].register(json!({})))).await;
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let start = |room: &Room| {
            let (written, stop) = (Arc::clone(&written), Arc::clone(&stop));
            tokio::spawn(write_and_look(clients.clone(), room.clone(), written, stop))
        };
        let writers = rooms.iter().map(start).collect();
        Self { rooms, written, stop, writers }
    }

    /// Waits for some more commands.
    async fn goes_on(&self) {
        let enough = self.written.load(Ordering::Relaxed) + 40;
        until(async || {
            assert!(!self.writers.iter().any(JoinHandle::is_finished), "a writer or a reader failed");
            match self.written.load(Ordering::Relaxed) {
                written if written >= enough => Ok(()),
                written => Err(format!("{written} of {enough} commands were written")),
            }
        })
        .await;
    }

    /// Ends it; all that was answered is shown.
    async fn end(self, client: &Client) -> Vec<Room> {
        self.stop.store(true, Ordering::Relaxed);
        let held = join_all(self.writers).await.into_iter().map(Result::unwrap);
        for (room, held) in self.rooms.iter().zip(held) {
            assert_eq!(schedule(client, room, &room.token).await, held);
        }
        self.rooms
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_go_on_and_are_whole_while_read_models_are_rebuilt_rolled_back_and_dropped() {
    let stack = Stack::real_with(1, 2).await;
    let client = stack.client();
    let load = Load::start([client.clone(), stack.client_of_both(0, 1)]).await;
    load.goes_on().await;
    let report = run(&stack, &["rebuild", "--json"]).await.expect(0).json();
    assert_eq!((&report["generation"], &report["flipped"]), (&json!(2), &json!(true)), "{report}");
    assert_eq!(report["differences"], json!([]));
    assert_eq!(generations(&stack).await, states(&[(1, "old"), (2, "live")]));
    load.goes_on().await;
    run(&stack, &["rollback"]).await.expect(0);
    assert_eq!(generations(&stack).await, states(&[(1, "live"), (2, "old")]));
    load.goes_on().await;
    run(&stack, &["rollback"]).await.expect(0);
    load.goes_on().await;
    let refused = run(&stack, &["drop-generation", "2"]).await.expect(1);
    assert!(refused.text.contains("is live"), "{}", refused.text);
    run(&stack, &["drop-generation", "1"]).await.expect(0);
    load.goes_on().await;
    let rooms = load.end(&client).await;

    assert_eq!(generations(&stack).await, states(&[(1, "dropped"), (2, "live")]));
    let left = database(&stack).await.list_collection_names().await.unwrap();
    assert!(!left.iter().any(|name| name.starts_with("g1_")), "{left:?}");
    run(&stack, &["rollback"]).await.expect(1);
    let shown = answers(&client, &rooms).await;
    let verified = run(&stack, &["verify", "--all", "--json"]).await.expect(0).json();
    assert_eq!((&verified["generation"], &verified["rooms"]), (&json!(2), &json!(4)), "{verified}");
    run(&stack, &["rebuild"]).await.expect(0);
    let registry = database(&stack).await.collection::<Document>("generations");
    let live = registry.find_one(doc! { "_id": { "$regex": "^live-" } }).await.unwrap().unwrap();
    assert_eq!(live.get("live").and_then(mongodb::bson::Bson::as_i32), Some(3), "no number is used twice");
    until_shown(&client, 3).await;
    assert_eq!(answers(&client, &rooms).await, shown);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_that_is_killed_goes_on_when_it_is_run_again_and_a_service_may_die_meanwhile() {
    let mut stack = Stack::real_with(1, 2).await;
    let client = stack.client();
    let load = Load::start([client.clone(), client.clone()]).await;
    load.goes_on().await;
    for (point, first, second) in [
        ("rebuild-before-filling", "live", "building"),
        ("rebuild-filled", "live", "building"),
        ("rebuild-following", "live", "following"),
        ("rebuild-before-flip", "live", "following"),
        ("rebuild-after-flip", "old", "live"),
    ] {
        let killed = stack.queries[0].command(&["rebuild"]).env("FAIL_POINT", point).output().await.unwrap();
        assert_eq!(killed.status.code(), None, "it was not killed at {point}: {killed:?}");
        assert_eq!(generations(&stack).await, states(&[(1, first), (2, second)]), "killed at {point}");
        if point == "rebuild-filled" {
            stack.queries[1].kill();
        }
    }
    stack.queries[1].start(&[]);
    let report = run(&stack, &["rebuild", "--json"]).await.expect(0).json();
    assert_eq!(report["differences"], json!([]));
    load.goes_on().await;
    until_shown(&client, 3).await;
    stack.queries[1].until_ready().await;
    let rooms = load.end(&client).await;
    let shown = answers(&client, &rooms).await;
    run(&stack, &["verify", "--all"]).await.expect(0);
    assert_eq!(generations(&stack).await, states(&[(1, "old"), (2, "old"), (3, "live")]));
    // Its own consumer group may be behind the live one's for a moment.
    until(async || {
        let listed = run(&stack, &["generations", "--json"]).await.expect(0).json();
        let fed = listed[1]["events"] == listed[2]["events"];
        if fed { Ok(()) } else { Err(format!("the old one was not fed all the time: {listed}")) }
    })
    .await;
    run(&stack, &["rollback"]).await.expect(0);
    assert_eq!(generations(&stack).await, states(&[(1, "old"), (2, "live"), (3, "old")]));
    until_shown(&client, 2).await;
    assert_eq!(answers(&client, &rooms).await, shown);
}

#[tokio::test]
async fn a_document_that_was_changed_by_hand_is_found_and_stops_the_flip() {
    let stack = Stack::real(1).await;
    let client = stack.client();
    let [room, other] = [client.register(json!({})).await, client.register(json!({})).await];
    let made = client.reserve(&room.id, &hour_of_year(3), &hour_of_year(5)).send().await;
    let reservation = made.expect(201)["reservation"].as_str().unwrap().to_owned();
    let path = format!("/v1/rooms/{}", room.id);
    let _ = client.get(&path).after(&made.token()).send().await.expect(200);
    let _ = client.get(&path).after(&other.token).send().await.expect(200);
    run(&stack, &["verify", "--all"]).await.expect(0);

    let reservations = database(&stack).await.collection::<Document>("g1_reservations");
    reservations.update_one(doc! {}, doc! { "$set": { "form.people": 7_i64 } }).await.unwrap();
    let found = run(&stack, &["verify", &room.id, &other.id, "--json"]).await.expect(1).json();
    let differences = found["differences"].as_array().unwrap();
    assert_eq!(differences.len(), 1, "{found}");
    assert_eq!(
        (&differences[0]["what"], &differences[0]["id"]),
        (&json!("reservation"), &json!(reservation))
    );
    assert!(differences[0]["expected"].as_str().unwrap().contains("\"people\":2"), "{found}");
    run(&stack, &["verify", &other.id]).await.expect(0);
    let unknown = run(&stack, &["verify", "018f2f6e-0000-7000-8000-000000000000"]).await.expect(2);
    assert!(unknown.errors.contains("neither"), "{}", unknown.errors);

    let refused = run(&stack, &["rebuild", "--json"]).await.expect(1).json();
    assert_eq!((&refused["flipped"], &refused["differences"][0]["id"]), (&json!(false), &json!(reservation)));
    assert_eq!(generations(&stack).await, states(&[(1, "live"), (2, "following")]));
    run(&stack, &["rebuild", "--accept-differences"]).await.expect(0);
    assert_eq!(generations(&stack).await, states(&[(1, "old"), (2, "live")]));
    run(&stack, &["verify", "--all"]).await.expect(0);
}
