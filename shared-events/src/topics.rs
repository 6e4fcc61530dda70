//! Where events travel: topic, key, partitioner.

/// Every event of every room. `cleanup.policy=delete`; the key is the room's id as text, so a room has one partition.
pub const EVENTS_TOPIC: &str = "reservations.events";

/// The partitioner, by librdkafka's name for it: the murmur2 hash that Java clients use by default. A producer with
/// another one would send a room's events to two partitions and lose their order.
pub const PARTITIONER: &str = "murmur2_random";

/// Number of partitions of a new topic. Changing it on a topic in use would break the order of rooms.
pub const DEFAULT_PARTITIONS: i32 = 4;
