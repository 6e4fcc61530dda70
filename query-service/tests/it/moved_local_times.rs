//! Stays whose local time changed with the rules of their zone.

use std::{path::Path, process::Output};

use query_service::{
    queries::{
        MovedLocalTimes,
        moved_local_times::{LocalTimes, MovedStay, Shown},
    },
    read_models::generation::FIRST,
    stores::{ProjectionStore, Queries, memory::MemoryReadModels},
};
use service_kit::ids;
use shared_events::{
    DecodedEvent, Minute, Offsets, Reservation, ReservationId, TimeZone, UserId,
    reservation_events::{ReservationCancelled, ReservationMade},
    time_zone::UtcOffset,
};

use crate::{
    conformance::feed,
    crash::program,
    events::{Stream, decoded},
    feed_double::{FeedDouble, FeedServer},
    kafka_consumer::Topic,
    mongo_database::TestDatabase,
};

/// Noon of a December day in Vancouver, which stays at UTC-7 since 2026.
const FROM: &str = "2026-12-08T19:00:00Z";

fn stay(stream: &Stream, zone: TimeZone, day: i64, offsets: Option<[i32; 2]>) -> Reservation {
    let from = FROM.parse::<Minute>().unwrap().plus(day * 1440).unwrap();
    let hours = |hours: i32| UtcOffset::from_seconds(hours * 3600).unwrap();
    Reservation {
        id: ReservationId::made_in(stream.room, ids::new_id()),
        revision: 1,
        room: stream.room,
        time_zone: zone,
        from,
        to: from.plus(60).unwrap(),
        offsets: offsets.map(|[from, to]| Offsets { from: hours(from), to: hours(to) }),
        busy: None,
        people: 1,
        title: None,
        reserved_for: None,
        reserved_by: UserId::new("ann").unwrap(),
        booked_by: None,
        series: None,
    }
}

#[tokio::test]
async fn stays_that_clocks_show_at_another_time_than_when_they_were_set_are_listed() {
    let zone: TimeZone = "America/Vancouver".parse().unwrap();
    let stream = Stream::new("Blue");
    let offsets = [Some([-8, -8]), Some([-7, -7]), None, Some([-7, -8]), Some([-8, -8]), Some([-8, -8])];
    let mut stays: Vec<Reservation> =
        (0..).zip(offsets).map(|(day, offsets)| stay(&stream, zone, day, offsets)).collect();
    // Another zone, one that is over, and one of 1,001 others.
    stays[4].time_zone = "America/Whitehorse".parse().unwrap();
    stays.push(stay(&stream, zone, -100, Some([-8, -8])));
    stays.extend((10..1010).map(|day| stay(&stream, zone, day, Some([-7, -7]))));
    let mut events: Vec<DecodedEvent> = vec![stream.events[0].clone().decode().unwrap()];
    let made = stays.iter().cloned().map(|reservation| ReservationMade { reservation }.into());
    let cancelled = Reservation { revision: 2, ..stays[5].clone() };
    let all = made.chain([ReservationCancelled { reservation: cancelled }.into()]);
    events.extend((2..).zip(all).map(|(version, event)| decoded(stream.room, version, 1, "ann", event)));

    let span = |from: &str, to: &str| Shown { from: from.into(), to: to.into() };
    let mut moved = vec![
        MovedStay {
            reservation: stays[0].id,
            room: stream.room,
            meant: span("2026-12-08T11:00:00", "2026-12-08T12:00:00"),
            shown: span("2026-12-08T12:00:00", "2026-12-08T13:00:00"),
        },
        MovedStay {
            reservation: stays[3].id,
            room: stream.room,
            meant: span("2026-12-11T12:00:00", "2026-12-11T12:00:00"),
            shown: span("2026-12-11T12:00:00", "2026-12-11T13:00:00"),
        },
    ];
    moved.sort_by_key(|stay| stay.reservation);
    let expected = LocalTimes { zone, moved, kept: 1001, unknown: 1 };

    let server = TestDatabase::create().await;
    let (memory, mongo) = (MemoryReadModels::new(), server.models("g1_").await);
    for (projected, models) in [(&memory as &dyn ProjectionStore, &memory as &dyn Queries), (&mongo, &mongo)]
    {
        feed(projected, &events, 200).await;
        let now = FROM.parse::<Minute>().unwrap().start();
        assert_eq!(MovedLocalTimes { zone }.run(models, now).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn the_command_lists_them_by_the_rules_in_use_and_its_exit_status_tells_whether_there_are_any() {
    let (mongo, topic) = (TestDatabase::create().await, Topic::named_anew(2));
    let server = FeedServer::start(FeedDouble::of(&[])).await;
    let generations = mongo.generations();
    generations.ensure_first(FROM.parse::<Minute>().unwrap().start()).await.unwrap();
    let stream = Stream::new("Blue");
    let zone: TimeZone = "America/Vancouver".parse().unwrap();
    let made = ReservationMade { reservation: stay(&stream, zone, 9_000, Some([5, 5])) };
    let events = [stream.events[0].clone().decode().unwrap(), decoded(stream.room, 2, 1, "ann", made.into())];
    feed(&generations.models(FIRST).await.unwrap(), &events, 2).await;
    let run = async |zone: &str, folder: Option<&Path>| -> Output {
        let mut command = program(&mongo, &topic, &server);
        command.args(["moved-local-times", "--zone", zone]).envs(folder.map(|folder| ("TIME_ZONES", folder)));
        command.output().await.unwrap()
    };
    let told = |output: &Output, status: i32, text: &str| {
        let printed = [&output.stdout[..], &output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        assert!(
            output.status.code() == Some(status) && printed.contains(text),
            "{}: {printed}",
            output.status
        );
    };
    told(&run("America/Vancouver", None).await, 1, " 1 moved, 0 as they were set, 0 unknown");
    told(&run("Europe/Lisbon", None).await, 0, " 0 moved, 0 as they were set, 0 unknown");
    told(&run("europe/lisbon", None).await, 2, "--zone europe/lisbon: not an IANA time zone");
    told(&run("Europe/Lisbon", Some(Path::new("/nowhere"))).await, 2, "TIME_ZONES: /nowhere");
    let system = Path::new("/usr/share/zoneinfo");
    if system.join("tzdata.zi").exists() {
        told(&run("America/Vancouver", Some(system)).await, 1, " 1 moved, 0 as they were set, 0 unknown");
    }
}
