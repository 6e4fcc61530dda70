//! Messages that never come: clients are told to read the room again, also those who were away meanwhile.

use super::*;

#[test]
fn events_that_never_came_by_the_topic_are_a_reset() {
    let mut topic = Topic::new();
    let stream = topic.stream("ann", rooms(&[1]), None);
    let mine = topic.stream("bob", Wants { owner: Some(user("bob")), ..Wants::default() }, None);
    topic.push(0, of(1, 1, "eve"));
    topic.show(1, 1);
    topic.push(0, of(1, 3, "eve"));
    topic.show(1, 3);
    assert_eq!(told(&stream).0, ["1:1", "1:3", "reset 1"]);
    assert_eq!(told(&mine).0, ["reset 1"], "it may have been Bob's");
    assert_eq!(topic.hub.quiet(), [room(1)]);
    topic.compare(1, 4);
    assert_eq!(told(&stream).0, Vec::<String>::new(), "the message may be on its way");
    topic.compare(1, 4);
    assert_eq!(told(&stream).0, ["reset 1"]);
    topic.compare(1, 4);
    topic.compare(1, 4);
    assert_eq!(told(&stream).0, Vec::<String>::new(), "once");
}

#[test]
fn an_event_that_is_lost_with_its_topic_is_a_reset_when_a_later_one_comes() {
    let mut topic = Topic::new();
    let entrance = topic.hub.enter(&user("ann"), rooms(&[1])).unwrap();
    assert_eq!(entrance.unverified(), [room(1)], "it was never looked up");
    let seen = Seen { version: 10.into(), parked: false };
    let stream = entrance.begin(None, &HashMap::from([(room(1), seen)]));
    topic.push(0, of(1, 12, "bob"));
    topic.show(1, 12);
    assert_eq!(told(&stream).0, ["1:12", "reset 1"]);
}

#[test]
fn an_event_that_is_lost_with_its_topic_is_a_reset_also_if_a_later_one_comes_before_the_first_look() {
    let mut topic = Topic::new();
    topic.push(0, of(1, 12, "bob"));
    let entrance = topic.hub.enter(&user("ann"), rooms(&[1])).unwrap();
    assert_eq!(entrance.unverified(), [room(1)]);
    let seen = Seen { version: 10.into(), parked: false };
    let stream = entrance.begin(None, &HashMap::from([(room(1), seen)]));
    assert_eq!(told(&stream).0, Vec::<String>::new());
    topic.show(1, 12);
    assert_eq!(told(&stream).0, ["1:12", "reset 1"]);
}

#[test]
fn a_lost_event_may_be_anybody_s_also_if_the_later_one_is_another_user_s() {
    let mut topic = Topic::new();
    let mine = topic.stream("bob", Wants { owner: Some(user("bob")), ..Wants::default() }, None);
    topic.push(0, of(1, 12, "eve"));
    topic.show(1, 12);
    assert_eq!(told(&mine).0, ["reset 1"]);
}

#[test]
fn a_client_that_was_away_when_an_event_never_came_is_told_on_any_instance() {
    let (mut topic, mut other) = (Topic::new(), Topic::new());
    topic.push(0, of(2, 1, "bob"));
    other.push(0, of(2, 1, "bob"));
    topic.show(2, 1);
    let id = topic.stream("ann", rooms(&[1]), None).place().unwrap();
    for topic in [&mut topic, &mut other] {
        topic.push(0, of(1, 12, "bob"));
        topic.show(1, 12);
        let back = topic.stream("ann", rooms(&[1]), Some(&id));
        let (told, _) = told(&back);
        assert!(told.contains(&"reset 1".to_owned()) && told.contains(&"1:12".to_owned()), "{told:?}");
    }
}

#[test]
fn a_client_that_was_away_when_others_were_told_to_read_again_is_told_when_it_comes_back() {
    let mut topic = Topic::new();
    topic.push(0, of(1, 1, "bob"));
    topic.show(1, 1);
    let wants = || Wants { owner: Some(user("bob")), ..Wants::default() };
    let ids = [rooms(&[1]), wants()].map(|wants| topic.stream("bob", wants, None).place().unwrap());
    let there = topic.stream("ann", rooms(&[1]), None);
    topic.compare(1, 2);
    topic.compare(1, 2);
    assert_eq!(told(&there).0, ["reset 1"]);
    drop(there);
    _ = topic.hub.quiet();
    for (wants, id) in [rooms(&[1]), wants()].into_iter().zip(&ids) {
        assert_eq!(told(&topic.stream("bob", wants, Some(id))).0, ["reset 1"]);
    }
}

#[test]
fn a_client_that_comes_back_to_another_instance_is_told_what_the_topic_never_brought() {
    let topic = Topic::new();
    let id = topic.stream("ann", rooms(&[1]), None).place().unwrap();
    let other = Topic::new();
    let entrance = other.hub.enter(&user("ann"), rooms(&[1])).unwrap();
    let seen = Seen { version: 12.into(), parked: false };
    let back = entrance.begin(Some(&id), &HashMap::from([(room(1), seen)]));
    other.compare(1, 12);
    assert_eq!(told(&back).0, Vec::<String>::new(), "the messages may be on their way");
    other.compare(1, 12);
    assert_eq!(told(&back).0, ["reset 1"], "the topic was lost with these events");
    let id = told(&back).1.or_else(|| back.place().map(|id| id.to_string()));
    let again = other.stream("ann", rooms(&[1]), id.as_deref());
    other.compare(1, 12);
    other.compare(1, 12);
    assert_eq!(told(&back).0, Vec::<String>::new(), "others are not told twice");
    drop(again);
}

#[test]
fn a_client_that_was_away_when_a_room_went_on_is_told_on_any_instance() {
    let (mut topic, mut other) = (Topic::new(), Topic::new());
    topic.push(0, of(1, 1, "bob"));
    other.push(0, of(1, 1, "bob"));
    topic.seen(1, 0, true);
    other.show(1, 1);
    for wants in [rooms(&[1]), Wants { owner: Some(user("bob")), ..Wants::default() }] {
        let stream = topic.stream("bob", wants.clone(), None);
        let id = stream.place().map(|id| id.to_string()).or_else(|| told(&stream).1);
        let back = other.stream("bob", wants, id.as_deref());
        assert_eq!(told(&back).0, ["reset 1"]);
    }
}
