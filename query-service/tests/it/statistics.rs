//! Statistics over HTTP, though usage is written behind.

use shared_events::{ConsistencyToken, RoomId, Version};

use crate::{
    events::{DAY, Stream},
    live::Origin,
    test_service::TestService,
};

/// The minutes of the day that a statistic with a token shows.
async fn minutes(instance: &TestService, room: RoomId, version: Version) -> u64 {
    let path = format!("/v1/statistics/popular-rooms?from={DAY}T00:00:00Z&to={DAY}T23:00:00Z");
    let token = ConsistencyToken { rooms: vec![(room, version)] }.to_string();
    let request = instance.request(&path).header("X-User", "ann").header("Consistency-Token", token);
    let body = instance.send(request).await.body;
    body["items"][0]["minutes"].as_u64().unwrap_or_else(|| panic!("{body}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statistic_with_a_token_counts_all_that_the_token_names_on_every_instance() {
    let mut source = Origin::servers().await;
    let instances = [source.start().await, source.start().await];
    let mut stream = Stream::new("Blue");
    source.publish(&stream).await;
    for hour in 0..10 {
        stream.reserve("ann", hour, hour + 1);
        source.publish(&stream).await;
        for instance in &instances {
            let shown = minutes(instance, stream.room, stream.head().into()).await;
            assert_eq!(shown, u64::from(hour + 1) * 60);
        }
    }
    for instance in instances {
        instance.stop().await;
    }
}
