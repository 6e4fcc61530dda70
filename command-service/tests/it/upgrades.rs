//! Older and newer builds on one store, and topics that another build made.

use command_service::{
    event_store::{EventLog as _, EventStore, Group, sqlite::SqliteStore},
    kafka::{Error, KafkaOptions, ensure_topic},
    writer::Failure,
};
use rdkafka::admin::{AdminOptions, ResourceSpecifier};
use sqlx::{Connection, Executor, SqliteConnection};

use crate::{
    samples::event,
    servers::{Topic, admin},
    test_store::TestStore,
    writer_rig::{by, hour, instance, reserve},
};

#[tokio::test]
async fn a_room_with_an_event_of_a_later_build_is_not_decided_and_its_neighbours_are() {
    for store in TestStore::both().await {
        let one = instance(&store).await;
        let blue = one.room("Blue", "meeting").await;
        let red = one.room("Red", "meeting").await;
        let mut blessed = event(blue, 2);
        blessed.event_type = "reservations.reservation-blessed.v9".into();
        let later: std::sync::Arc<dyn EventStore> = store.open(None).await;
        later.append(&Group { events: vec![blessed], ..Group::default() }).await.unwrap();
        // This instance knows the room already, the other one loads it.
        for reply in [
            one.writer.submit(by("ann", reserve(blue, hour(9)))).await,
            instance(&store).await.writer.submit(by("ann", reserve(blue, hour(9)))).await,
        ] {
            assert_eq!(reply.unwrap_err(), Failure::NotUnderstood(blue));
        }
        assert_eq!(one.does(by("ann", reserve(red, hour(9)))).await.version, 2);
        assert_eq!(later.heads(&[blue]).await.unwrap(), [(blue, 2.into())], "nothing was written");
    }
}

#[tokio::test]
async fn a_file_that_a_later_build_has_migrated_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.sqlite");
    drop(SqliteStore::open(&file, None).await.unwrap());
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (1000, 'of a later build', TRUE, x'00', 1)";
    connection.execute(later).await.unwrap();
    connection.close().await.unwrap();
    let store = SqliteStore::open(&file, None).await.unwrap();
    assert!(store.all_heads(None, 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_topic_with_too_few_partitions_is_refused_with_the_command_that_adds_them_and_more_are_taken() {
    let topic = Topic::new().await;
    ensure_topic(&topic.options).await.unwrap();
    ensure_topic(&KafkaOptions { partitions: 3, ..topic.options.clone() }).await.unwrap();
    let refused = ensure_topic(&KafkaOptions { partitions: 5, ..topic.options.clone() }).await.unwrap_err();
    assert!(matches!(refused, Error::PartitionsMissing { found: 4, configured: 5, .. }), "{refused}");
    let command = format!("kafka-topics.sh --alter --topic {} --partitions 5", topic.options.topic);
    assert!(refused.to_string().ends_with(&command), "{refused}");
}

#[tokio::test]
async fn a_topic_keeps_events_for_the_time_that_is_set_where_it_is_made_and_is_left_as_it_is_where_it_exists()
{
    let topic = Topic::missing();
    for retention_hours in [48, 72] {
        ensure_topic(&KafkaOptions { retention_hours, ..topic.options.clone() }).await.unwrap();
        let resource = ResourceSpecifier::Topic(&topic.options.topic);
        let described = admin().describe_configs([&resource], &AdminOptions::new()).await.unwrap();
        let setting = |name| described[0].as_ref().unwrap().get(name).unwrap().value.clone().unwrap();
        assert_eq!(setting("retention.ms"), (48 * 3_600_000).to_string());
        // Counted from the sending of an event, however old its content is.
        assert_eq!(setting("message.timestamp.type"), "CreateTime");
    }
}
