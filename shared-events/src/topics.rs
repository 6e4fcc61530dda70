//! The topics and their partitioner.

/// The topic of all events, with `cleanup.policy=delete`. The key is the room's id as text, so a room has one partition.
pub const EVENTS_TOPIC: &str = "reservations.events";

/// The topic of [notices](crate::notice), with `cleanup.policy=compact`. It has the key, the partitioner and the partitions of
/// [`EVENTS_TOPIC`].
pub const CHANGES_TOPIC: &str = "reservations.changes";

/// The partitioner, by librdkafka's name: murmur2, the default of Java clients. A producer with another one would send a room's
/// events to two partitions and lose their order.
pub const PARTITIONER: &str = "murmur2_random";

/// Number of partitions that events are in. Another number on a topic in use would break the order of rooms.
pub const DEFAULT_PARTITIONS: i32 = 4;
