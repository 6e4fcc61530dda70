//! The server explains every command that the queries send. No query reads a whole collection, except for kinds, which
//! count all rooms.

use mongodb::bson::{Bson, Document, doc};
use query_service::{
    progress::Progress,
    queries::{
        Availability, Booker, Bookings, BusiestTimes, By, ClosureOfRooms, FreeStays, FreeTime, Measure,
        PageRequest, PastReservation, PastRoom, PastSchedule, PopularRooms, Revisions, Rooms, Schedule,
        Schedules, UserHistory, UserReservations,
    },
    read_models::AsOf,
    stores::{Queries, RoomFilter},
};
use shared_events::UserId;

use crate::{
    conformance::{all_pages, feed, interval},
    conformance_histories::history,
    conformance_steps::fixed_steps,
    erasure::list,
    mongo_database::TestDatabase,
};

/// All stages of a plan, in any form of the server's answer.
fn stages(plan: &Bson, found: &mut Vec<String>) {
    match plan {
        Bson::Document(document) => {
            for (name, value) in document {
                match value.as_str() {
                    Some(stage) if name == "stage" => found.push(stage.to_owned()),
                    _ if name == "rejectedPlans" => {}
                    _ => stages(value, found),
                }
            }
        }
        Bson::Array(values) => values.iter().for_each(|value| stages(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn no_query_but_kinds_scans_a_collection() {
    let (server, sent) = TestDatabase::recorded(&["find", "aggregate", "distinct", "count"]).await;
    let models = &server.models("g1_").await;
    let history = history(&fixed_steps(300, 37));
    feed(models, &history.events, 50).await;
    sent.lock().unwrap().clear();

    let (now, progress) = ("2026-01-01T00:00:00Z".parse().unwrap(), &Progress::default());
    let during = interval("2026-03-28T00:10:00Z", 20 * 1440);
    for kind in [None, Some("meeting".to_owned())] {
        for people in [None, Some(2)] {
            let query = &Rooms { filter: RoomFilter { people, ..RoomFilter::of_kind(kind.clone()) } };
            all_pages(async |page| query.run(models, &page).await).await;
        }
        let filter = RoomFilter::of_kind(kind.clone());
        let owner = UserId::new("ann").unwrap();
        let booker = Booker { roles: Vec::new(), is_admin: false, owner };
        let query = &Availability { stay: during, filter: filter.clone(), booker: booker.clone() };
        all_pages(async |page| query.run(models, progress, now, &page).await).await;
        let query = &FreeStays { during, minutes: 60, filter: filter.clone(), booker };
        all_pages(async |page| query.run(models, progress, now, &page).await).await;
        let query = &Schedules { date: "2026-03-28".parse().unwrap(), days: 7, filter };
        all_pages(async |page| query.run(models, progress, &page).await).await;
        let query = &PopularRooms { during, kind: kind.clone() };
        all_pages(async |page| query.run(models, &page).await).await;
        let query = &Bookings { during, kind: kind.clone() };
        all_pages(async |page| query.run(models, &page).await).await;
        let (by, measure) = (By::Date, Measure::People);
        BusiestTimes { during, kind, by, measure }.run(models).await.unwrap();
    }
    let kinds = vec!["$suite.a".to_owned(), "meeting".to_owned()];
    let (building, attributes) = (Some("$main".to_owned()), vec!["projector".to_owned()]);
    for filter in [
        RoomFilter { kinds, ..RoomFilter::default() },
        RoomFilter { building, attributes, ..RoomFilter::default() },
    ] {
        let query = &Rooms { filter };
        all_pages(async |page| query.run(models, &page).await).await;
    }
    models.kinds().await.unwrap();
    let room = history.room_ids()[1];
    models.room(room).await.unwrap().unwrap();
    let query = Schedule { room, during };
    all_pages(async |page| Ok(query.run(models, progress, &page).await?.unwrap().page)).await;
    let query = FreeTime { room, during };
    query.run(models, progress, now, &PageRequest::first(2)).await.unwrap().unwrap();
    let reservation = *history.all.first().unwrap();
    models.reservation(reservation).await.unwrap().unwrap();
    for (from, to) in [(None, None), (Some(during.from), Some(during.to))] {
        let query = &UserReservations { user: UserId::new("ann").unwrap(), from, to };
        all_pages(async |page| query.run(models, &page).await).await;
    }
    for at in [AsOf::Number(3.into()), AsOf::Moment(history.events[100].recorded_at)] {
        PastRoom { room, at }.run(models).await.unwrap();
        let query = PastSchedule { room, during, at };
        query.run(models, &PageRequest::first(2)).await.unwrap();
    }
    for at in [AsOf::Number(1), AsOf::Moment(history.events[100].recorded_at)] {
        PastReservation { reservation, at }.run(models).await.unwrap();
    }
    let closure = history.events.iter().find_map(|event| event.event.closure()).unwrap().id;
    ClosureOfRooms { closure }.run(models).await.unwrap().unwrap();
    let query = &Revisions { reservation };
    all_pages(async |page| query.run(models, &page).await).await;
    let cancelled = models.cancelled_of_user(&UserId::new("ann").unwrap(), during.from, 10).await.unwrap();
    let events: Vec<_> = cancelled.iter().map(|doc| (doc.reservation.room, doc.version.unwrap())).collect();
    assert!(!events.is_empty());
    models.entries_of(&events).await.unwrap();
    models.rooms(&history.room_ids()).await.unwrap();
    let query = &UserHistory { user: UserId::new("ann").unwrap() };
    all_pages(async |page| query.run(models, &page).await).await;

    let commands = std::mem::take(&mut *sent.lock().unwrap());
    assert!(commands.len() > 40, "{}", commands.len());
    for command in commands.into_iter().map(without_driver_fields) {
        let explain = doc! { "explain": command.clone(), "verbosity": "queryPlanner" };
        let plan = server.client.database(&server.name).run_command(explain).await.unwrap();
        let mut found = Vec::new();
        stages(&Bson::Document(plan.clone()), &mut found);
        // Only kinds aggregate rooms.
        let of_kinds = command.get_str("aggregate").is_ok_and(|collection| collection.ends_with("_rooms"));
        assert_eq!(found.iter().any(|stage| stage == "COLLSCAN"), of_kinds, "{command}\n{plan}");
        if of_kinds {
            continue;
        }
        let by_index =
            ["IXSCAN", "IDHACK", "EXPRESS_IXSCAN", "EXPRESS_CLUSTERED_IXSCAN", "COUNT_SCAN", "DISTINCT_SCAN"];
        assert!(found.iter().any(|stage| by_index.contains(&stage.as_str())), "{command}\n{plan}");
    }
}

#[tokio::test]
async fn only_the_overlapping_reservations_of_a_busy_week_are_read() {
    let (server, sent) = TestDatabase::recorded(&["find"]).await;
    let models = &server.models("g1_").await;
    let history = history(&fixed_steps(300, 37));
    feed(models, &history.events, 50).await;
    let rooms = history.room_ids();
    let (mut found, mut read) = (0, 0);
    for reservation in history.live.values() {
        let during = [reservation.interval()];
        sent.lock().unwrap().clear();
        found += models.live_in_rooms(&rooms, &during).await.unwrap().len();
        let find = sent.lock().unwrap().pop().unwrap();
        read += documents_read(&server, find).await;
    }
    assert_eq!(usize::try_from(read).unwrap(), found);
}

#[tokio::test]
async fn the_schedules_of_any_number_of_rooms_are_four_reads_at_most() {
    let (server, sent) = TestDatabase::recorded(&["find", "aggregate"]).await;
    let models = &server.models("g1_").await;
    let history = history(&fixed_steps(300, 37));
    feed(models, &history.events, 50).await;
    let filter = RoomFilter::default();
    let query = Schedules { date: "2026-03-28".parse().unwrap(), days: 3, filter };
    for rooms in [1, 500] {
        sent.lock().unwrap().clear();
        // Another instance projects the rooms: their versions are a read, as their closures are.
        let page = query.run(models, &Progress::default(), &PageRequest::first(rooms)).await.unwrap();
        assert_eq!(sent.lock().unwrap().len(), 4);
        assert!(page.items.len() == rooms || page.items.len() > 3);
    }
}

#[tokio::test]
async fn a_room_or_a_reservation_at_a_moment_is_one_read_of_few_documents() {
    let (server, sent) = TestDatabase::recorded(&["find", "aggregate"]).await;
    let models = &server.models("g1_").await;
    let history = history(&fixed_steps(2000, 41));
    feed(models, &history.events, 100).await;
    let rooms = history.room_ids();
    let at = history.events.iter().map(|event| event.recorded_at).max().unwrap();
    let one_read = async || {
        let commands = std::mem::take(&mut *sent.lock().unwrap());
        assert_eq!(commands.len(), 1, "{commands:?}");
        let read = documents_read(&server, commands[0].clone()).await;
        assert!(read <= 16, "{read}: {}", commands[0]);
    };
    sent.lock().unwrap().clear();
    for room in rooms {
        PastRoom { room, at: AsOf::Moment(at) }.run(models).await.unwrap().unwrap();
        one_read().await;
    }
    let mut known = 0;
    for reservation in &history.all {
        let of_it = history
            .events
            .iter()
            .filter(|event| event.event.reservation().is_some_and(|found| found.id == *reservation));
        if of_it.count() < 16 {
            let query = PastReservation { reservation: *reservation, at: AsOf::Moment(at) };
            query.run(models).await.unwrap().unwrap();
            one_read().await;
            known += 1;
        }
    }
    assert!(known > 100, "{known}");
}

#[tokio::test]
async fn an_erasure_reads_the_documents_of_the_person_alone() {
    let (server, sent) = TestDatabase::recorded(&["update"]).await;
    let generations = server.generations();
    generations.ensure_first("2026-01-01T00:00:00Z".parse().unwrap()).await.unwrap();
    let number = generations.read().await.unwrap().live.unwrap();
    let models = &generations.models(number).await.unwrap();
    let history = history(&fixed_steps(300, 37));
    feed(models, &history.events, 50).await;
    let booker = history.live.values().find_map(|live| live.booked_by.clone()).unwrap();
    sent.lock().unwrap().clear();
    // One who only made reservations for others, and administered rooms, is found too.
    for user in [booker, UserId::new("admin").unwrap()] {
        assert!(generations.mask(&user, &list(1, user.as_str())).await.unwrap() > 0, "{user}");
    }
    let commands = std::mem::take(&mut *sent.lock().unwrap());
    assert_eq!(commands.len(), 2 * 8);
    for command in commands {
        let explain = doc! { "explain": without_driver_fields(command.clone()), "verbosity": "queryPlanner" };
        let plan = server.client.database(&server.name).run_command(explain).await.unwrap();
        let mut found = Vec::new();
        stages(&Bson::Document(plan.clone()), &mut found);
        let is_scanned = found.iter().any(|stage| stage == "COLLSCAN");
        assert!(!is_scanned && found.iter().any(|stage| stage == "IXSCAN"), "{command}\n{plan}");
    }
}

/// The documents that a recorded command reads.
async fn documents_read(server: &TestDatabase, command: Document) -> i32 {
    let explain = doc! { "explain": without_driver_fields(command), "verbosity": "executionStats" };
    let plan = server.client.database(&server.name).run_command(explain).await.unwrap();
    plan.get_document("executionStats").unwrap().get_i32("totalDocsExamined").unwrap()
}

/// A command without the driver's own fields, which can't be explained.
fn without_driver_fields(mut command: Document) -> Document {
    for added in
        ["lsid", "$db", "$clusterTime", "$readPreference", "readConcern", "writeConcern", "txnNumber"]
    {
        command.remove(added);
    }
    command
}
