//! Guarantees of both event stores, without the outbox.

use std::time::Duration;

use command_service::{
    domain::RoomEntry,
    event_store::{
        AppendError, Backlog, Buckets, EventStore, FailPoint, Group, KeyId, KeyKind, NewKey, Snapshot,
        StoreError,
    },
};

use crate::{
    samples::{event, events, ids, key, room},
    test_store::{Rig, on_both},
};

on_both!(
    what_was_appended_comes_back_byte_for_byte,
    a_failure_at_any_statement_leaves_no_trace,
    a_version_can_be_taken_once,
    a_stream_never_gets_a_gap,
    a_key_can_be_used_once_and_takes_its_events_along,
    keys_point_at_the_events_of_their_commands,
    a_name_is_unique_until_its_room_is_retired,
    names_differ_by_accents_and_kinds_by_case_accents_and_spaces,
    a_kind_has_its_rooms_in_the_order_of_registration,
    positions_follow_the_order_of_the_group_given_and_are_consecutive,
    streams_are_loaded_after_the_version_that_is_known,
    heads_are_those_of_the_streams_asked_for,
    all_heads_come_page_by_page,
    old_keys_are_swept_oldest_first,
    the_newest_snapshot_is_kept,
    a_group_of_rejections_is_kept,
);

/// Everything that a command can leave behind.
fn full_group() -> Group {
    Group {
        events: vec![event(room(2), 1), event(room(1), 1)],
        keys: vec![key(9, 0), key(4, 1)],
        rooms: vec![entry(2, "Aula", "hall"), entry(1, "Attic", "hall")],
        ..Group::default()
    }
}

fn entry(number: u128, name: &str, kind: &str) -> RoomEntry {
    RoomEntry { room: room(number), name: name.to_owned(), kind: kind.to_owned(), retired: false }
}

fn registered(entry: RoomEntry) -> Group {
    Group { events: vec![event(entry.room, 1)], rooms: vec![entry], ..Group::default() }
}

async fn assert_empty(store: &dyn EventStore) {
    assert_eq!(store.all_heads(None, 10).await.unwrap(), []);
    assert_eq!(store.backlog().await.unwrap(), Backlog::default());
    assert_eq!(store.find_keys(&[key(9, 0).id, key(4, 0).id]).await.unwrap(), []);
    assert_eq!(store.all_rooms().await.unwrap(), []);
}

fn is_conflict(error: &AppendError, what: &str) -> bool {
    matches!(error, AppendError::Conflict(found) if *found == what)
}

async fn what_was_appended_comes_back_byte_for_byte(rig: Rig) {
    let mut first = event(room(1), 1);
    first.payload = b"{\"b\":1, \"a\" : \"\\u0000 \xf0\x9f\x8f\xa8\", \"b\":2}\n\x00\xff".to_vec();
    let mut second = event(room(1), 2);
    second.payload = vec![b'x'; 100_000];
    let positions = rig.store.append(&events(vec![first.clone(), second.clone()])).await.unwrap().positions;
    let found = rig.store.stream(room(1), 0.into(), 10).await.unwrap();
    assert_eq!(found.len(), 2);
    for ((stored, appended), position) in found.into_iter().zip([first, second]).zip(positions) {
        assert_eq!(stored.position, position);
        assert_eq!(stored.metadata, serde_json::to_vec(&appended.metadata).unwrap());
        assert_eq!(stored.into_raw().unwrap(), appended);
    }
}

async fn a_failure_at_any_statement_leaves_no_trace(rig: Rig) {
    for point in FailPoint::ALL.into_iter().filter(|point| *point != FailPoint::AfterCommit) {
        rig.fail_points.arm(point, 1);
        let error = rig.store.append(&full_group()).await.unwrap_err();
        assert!(
            matches!(error, AppendError::Transient(StoreError::Unavailable { .. })),
            "{point:?}: {error:?}"
        );
        assert_empty(&*rig.store).await;
    }
    rig.fail_points.arm(FailPoint::AfterCommit, 1);
    let error = rig.store.append(&full_group()).await.unwrap_err();
    assert!(matches!(error, AppendError::Unknown(_)), "{error:?}");
    assert_eq!(rig.store.heads(&[room(1), room(2)]).await.unwrap().len(), 2);
    assert_eq!(rig.store.find_keys(&[key(9, 0).id, key(4, 0).id]).await.unwrap().len(), 2);
    assert_eq!(rig.store.all_rooms().await.unwrap().len(), 2);
    assert_eq!(rig.store.backlog().await.unwrap().events, 2);
}

async fn a_version_can_be_taken_once(rig: Rig) {
    rig.store.append(&events(vec![event(room(1), 1), event(room(2), 1)])).await.unwrap();
    let mut late = events(vec![event(room(3), 1), event(room(2), 1)]);
    late.keys.push(key(1, 0));
    let error = rig.store.append(&late).await.unwrap_err();
    assert!(is_conflict(&error, "version"), "{error:?}");
    assert_eq!(rig.store.heads(&[room(2), room(3)]).await.unwrap(), [(room(2), 1.into())]);
    assert_eq!(rig.store.find_keys(&[key(1, 0).id]).await.unwrap(), []);
    rig.store.append(&events(vec![event(room(3), 1), event(room(2), 2)])).await.unwrap();
}

async fn a_stream_never_gets_a_gap(rig: Rig) {
    rig.store.append(&events(vec![event(room(1), 1)])).await.unwrap();
    for group in [
        vec![event(room(1), 3)],
        vec![event(room(1), 2), event(room(1), 4)],
        vec![event(room(2), 2)],
        vec![event(room(2), 0)],
        vec![event(room(1), 2), event(room(3), 1), event(room(4), 7)],
    ] {
        let error = rig.store.append(&events(group)).await.unwrap_err();
        assert!(matches!(error, AppendError::Permanent(StoreError::Inconsistent { .. })), "{error:?}");
    }
    assert_eq!(rig.store.all_heads(None, 10).await.unwrap(), [(room(1), 1.into())]);
    rig.store.append(&events(vec![event(room(1), 3), event(room(1), 2)])).await.unwrap();
    assert_eq!(
        ids(&rig.store.stream(room(1), 0.into(), 9).await.unwrap()),
        [(room(1), 1), (room(1), 2), (room(1), 3)]
    );
}

async fn a_key_can_be_used_once_and_takes_its_events_along(rig: Rig) {
    // Where nothing else is to be written the key goes out with COMMIT.
    for (taken, rooms) in [(5, true), (6, false)] {
        let with_key = |number: u128| Group {
            events: vec![event(room(number), 1)],
            keys: vec![key(taken, 0)],
            rooms: if rooms { vec![entry(number, "Any", "room")] } else { Vec::new() },
            ..Group::default()
        };
        let (first, second) = (10 * taken, 10 * taken + 1);
        rig.store.append(&with_key(first)).await.unwrap();
        let error = rig.store.append(&with_key(second)).await.unwrap_err();
        assert!(is_conflict(&error, "key"), "{error:?}");
        assert_eq!(rig.store.heads(&[room(second)]).await.unwrap(), []);
        let records = rig.store.find_keys(&[key(taken, 0).id, key(9, 0).id]).await.unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].event.as_ref().unwrap().room, room(first));
    }
    assert_eq!(rig.store.backlog().await.unwrap().events, 2);
}

async fn keys_point_at_the_events_of_their_commands(rig: Rig) {
    let mut group = Group::default();
    for number in 0..300_u128 {
        // Given in the opposite order of the rooms, with keys in an order of their own.
        let at = group.events.len();
        group.events.push(event(room(1000 - number), 1));
        group.events.push(event(room(5000 - number), 1));
        group.keys.push(NewKey { other_event: Some(at + 1), ..key((number * 7919) % 1009, at) });
    }
    rig.store.append(&group).await.unwrap();
    let wanted: Vec<KeyId> = group.keys.iter().map(|key| key.id).collect();
    let found = rig.store.find_keys(&wanted).await.unwrap();
    assert_eq!(found.len(), 300);
    for record in found {
        let made = group.keys.iter().find(|key| key.id == record.id).unwrap();
        assert_eq!(record.event.unwrap().room, group.events[made.event.unwrap()].room);
        assert_eq!(record.other_event.unwrap().room, group.events[made.other_event.unwrap()].room);
        assert_eq!(record.fingerprint, [7; 16]);
    }
}

async fn a_name_is_unique_until_its_room_is_retired(rig: Rig) {
    rig.store.append(&registered(entry(1, "Aula", "hall"))).await.unwrap();
    let error = rig.store.append(&registered(entry(2, "Aula", "hall"))).await.unwrap_err();
    assert!(is_conflict(&error, "name"), "{error:?}");
    assert_eq!(rig.store.heads(&[room(2)]).await.unwrap(), []);

    // One group frees the name and takes it again.
    let retired = RoomEntry { retired: true, ..entry(1, "Aula", "hall") };
    let group = Group {
        events: vec![event(room(1), 2), event(room(2), 1)],
        rooms: vec![retired.clone(), entry(2, "Aula", "hall")],
        ..Group::default()
    };
    rig.store.append(&group).await.unwrap();
    assert_eq!(rig.store.all_rooms().await.unwrap(), [retired, entry(2, "Aula", "hall")]);
    assert_eq!(
        rig.store.rooms_named_like(&["AULA".into(), "None".into()], &[]).await.unwrap(),
        [entry(2, "Aula", "hall")]
    );

    // Two retired rooms may have had the same name.
    let group = Group {
        events: vec![event(room(2), 2)],
        rooms: vec![RoomEntry { retired: true, ..entry(2, "Aula", "hall") }],
        ..Group::default()
    };
    rig.store.append(&group).await.unwrap();
    assert_eq!(rig.store.rooms_named_like(&["Aula".into()], &[room(2)]).await.unwrap(), []);
    assert_eq!(rig.store.rooms_named_like(&[], &[]).await.unwrap(), []);
}

async fn names_differ_by_accents_and_kinds_by_case_accents_and_spaces(rig: Rig) {
    let kinds = ["abc", "ABC", "äbc", "abc ", "\u{1f3e8}", "a\u{308}bc"];
    let names = ["abc", "abç", "äbc", "ab c", "\u{1f3e8}", "åbc"];
    let entry = |number: u128, at: usize| entry(number, names[at], kinds[at]);
    for (number, at) in (1..).zip(0..names.len()) {
        rig.store.append(&registered(entry(number, at))).await.unwrap();
    }
    for (number, at) in (1..).zip(0..names.len()) {
        let named = rig.store.rooms_named_like(&[names[at].into()], &[]).await.unwrap();
        assert_eq!(named, [entry(number, at)]);
        assert_eq!(rig.store.rooms_of_kinds(&[kinds[at].into()]).await.unwrap(), [entry(number, at)]);
    }
}

async fn a_kind_has_its_rooms_in_the_order_of_registration(rig: Rig) {
    for (number, kind) in [(9, "hall"), (3, "cell"), (7, "hall"), (1, "hall"), (5, "attic")] {
        rig.store.append(&registered(entry(number, &number.to_string(), kind))).await.unwrap();
    }
    let mut group = events(vec![event(room(7), 2), event(room(3), 2)]);
    group.rooms = vec![RoomEntry { retired: true, ..entry(7, "7", "hall") }, entry(3, "3", "hall")];
    rig.store.append(&group).await.unwrap();
    let rooms = rig.store.rooms_of_kinds(&["hall".into(), "attic".into(), "none".into()]).await.unwrap();
    let numbers: Vec<_> = rooms.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(numbers, ["9", "3", "1", "5"]);
}

async fn positions_follow_the_order_of_the_group_given_and_are_consecutive(rig: Rig) {
    for count in [1, 15, 17, 255, 600_u128] {
        let base = count * 10_000;
        let group = events((0..count).rev().map(|number| event(room(base + number), 1)).collect());
        let positions = rig.store.append(&group).await.unwrap().positions;
        let wanted: Vec<_> = group.events.iter().map(|event| (event.room, 0.into())).collect();
        let stored = rig.store.load(&wanted).await.unwrap();
        assert_eq!(stored.len(), group.events.len());
        for (event, position) in group.events.iter().zip(&positions) {
            let found = stored.iter().find(|stored| stored.room == event.room).unwrap();
            assert_eq!(found.position, *position);
        }
        let mut sorted = positions.clone();
        sorted.sort_unstable();
        assert!(sorted.windows(2).all(|pair| pair[1].get() == pair[0].get() + 1), "{sorted:?}");
    }
    let undelivered = rig.store.undelivered(Buckets::ALL, 2000).await.unwrap();
    assert_eq!(undelivered.len(), 1 + 15 + 17 + 255 + 600);
    assert!(undelivered.is_sorted());
    let read = rig.store.events_at(&undelivered).await.unwrap();
    assert_eq!(read.iter().map(|event| event.position).collect::<Vec<_>>(), undelivered);
}

async fn streams_are_loaded_after_the_version_that_is_known(rig: Rig) {
    let group = (1..=40).flat_map(|number| (1..=5).map(move |version| event(room(number), version)));
    rig.store.append(&events(group.collect())).await.unwrap();
    let wanted = [
        (room(30), 3.into()),
        (room(2), 5.into()),
        (room(7), 4.into()),
        (room(99), 0.into()),
        (room(30), 4.into()),
        (room(1), 0.into()),
    ];
    let found = rig.store.load(&wanted).await.unwrap();
    let expected = [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (7, 5), (30, 4), (30, 5)];
    assert_eq!(ids(&found), expected.map(|(number, version)| (room(number), version)));
    assert_eq!(rig.store.load(&[]).await.unwrap(), []);
    let all: Vec<_> = (1..=300).map(|number| (room(number), 4.into())).collect();
    assert_eq!(rig.store.load(&all).await.unwrap().len(), 40);
    assert_eq!(ids(&rig.store.stream(room(4), 1.into(), 2).await.unwrap()), [(room(4), 2), (room(4), 3)]);
}

async fn heads_are_those_of_the_streams_asked_for(rig: Rig) {
    let group =
        (1..=9).flat_map(|number| (1..=number).map(move |version| event(room(u128::from(number)), version)));
    rig.store.append(&events(group.collect())).await.unwrap();
    let mut heads = rig.store.heads(&[room(7), room(3), room(99)]).await.unwrap();
    heads.sort_unstable();
    assert_eq!(heads, [(room(3), 3.into()), (room(7), 7.into())]);
    assert_eq!(rig.store.heads(&[]).await.unwrap(), []);
    let all: Vec<_> = (1..=1500).map(room).collect();
    assert_eq!(rig.store.heads(&all).await.unwrap().len(), 9);
}

async fn all_heads_come_page_by_page(rig: Rig) {
    let group = (1..=5).flat_map(|number| (1..=3).map(move |version| event(room(number), version)));
    rig.store.append(&events(group.collect())).await.unwrap();
    let first = rig.store.all_heads(None, 2).await.unwrap();
    assert_eq!(first, [(room(1), 3.into()), (room(2), 3.into())]);
    assert_eq!(
        rig.store.all_heads(Some(room(2)), 2).await.unwrap(),
        [(room(3), 3.into()), (room(4), 3.into())]
    );
    assert_eq!(rig.store.all_heads(Some(room(4)), 2).await.unwrap(), [(room(5), 3.into())]);
    assert_eq!(rig.store.all_heads(Some(room(5)), 2).await.unwrap(), []);
}

async fn old_keys_are_swept_oldest_first(rig: Rig) {
    for (kind, other, rooms) in
        [(KeyKind::Request, KeyKind::ImportLine, 0), (KeyKind::ImportLine, KeyKind::Request, 10)]
    {
        sweep_oldest_first(&rig, kind, other, rooms).await;
    }
}

/// Keys of one kind, for five rooms after `rooms`. There are none of the other kind.
async fn sweep_oldest_first(rig: &Rig, kind: KeyKind, other: KeyKind, rooms: u128) {
    for number in 1..=5 {
        let group = Group {
            events: vec![event(room(rooms + number), 1)],
            keys: vec![NewKey { kind, ..key(100 - number, 0) }],
            ..Group::default()
        };
        rig.store.append(&group).await.unwrap();
    }
    let keys: Vec<_> = (1..=5).map(|number| key(100 - number, 0).id).collect();
    assert_eq!(rig.store.sweep_keys(kind, Duration::from_hours(1), 100).await.unwrap(), 0);
    assert_eq!(rig.store.sweep_keys(other, Duration::ZERO, 100).await.unwrap(), 0);
    // Each is old at once, but for the millisecond in which it was made.
    for _ in 0..2 {
        while rig.store.sweep_keys(kind, Duration::ZERO, 1).await.unwrap() == 0 {}
    }
    let left = rig.store.find_keys(&keys).await.unwrap();
    assert_eq!(left.len(), 3);
    assert!(left.iter().all(|record| record.event.as_ref().unwrap().room > room(rooms + 2)));
    let mut rest = 0;
    while rest < 3 {
        rest += rig.store.sweep_keys(kind, Duration::ZERO, 100).await.unwrap();
    }
    assert_eq!(rest, 3);
    assert_eq!(rig.store.all_heads(Some(room(rooms)), 10).await.unwrap().len(), 5);
}

async fn the_newest_snapshot_is_kept(rig: Rig) {
    let snapshot = |version: u64, schema: &str| Snapshot {
        room: room(1),
        version: version.into(),
        schema: schema.to_owned(),
        body: format!("{version} {schema}").into_bytes(),
    };
    rig.store.save_snapshot(&snapshot(5, "a"), 0).await.unwrap();
    rig.store.save_snapshot(&snapshot(3, "a"), 0).await.unwrap();
    assert_eq!(rig.store.snapshots(&[room(1), room(2)]).await.unwrap(), [snapshot(5, "a")]);
    rig.store.save_snapshot(&snapshot(6, "a"), 0).await.unwrap();
    rig.store.save_snapshot(&snapshot(4, "b"), 0).await.unwrap();
    assert_eq!(rig.store.snapshots(&[room(1)]).await.unwrap(), [snapshot(4, "b")]);
}

async fn a_group_of_rejections_is_kept(rig: Rig) {
    let outcome = br#"{"rejected": "overlap"}"#.to_vec();
    let rejected = NewKey { event: None, outcome: Some(outcome.clone()), ..key(1, 0) };
    let group = Group { keys: vec![rejected], ..Group::default() };
    assert_eq!(rig.store.append(&group).await.unwrap().positions, []);
    let found = rig.store.find_keys(&[key(1, 0).id]).await.unwrap();
    assert_eq!((found[0].event.as_ref(), found[0].outcome.as_ref()), (None, Some(&outcome)));
}
