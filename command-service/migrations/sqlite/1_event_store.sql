-- Every event of every room. Rows are inserted; only erasure changes one, and none is deleted. The unique key is the
-- optimistic lock.
CREATE TABLE events (
    -- Order of insertion over all streams, never used again.
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The room: 16 bytes.
    stream_id BLOB NOT NULL,
    -- Place in the stream: 1, 2, 3, ... without gaps.
    version INTEGER NOT NULL,
    -- ce_type.
    type TEXT NOT NULL,
    -- JSON of the event, byte for byte as it is sent.
    payload BLOB NOT NULL,
    -- JSON of the other attributes: time, subject, actor, correlation, causation, trace.
    metadata BLOB NOT NULL,
    -- When it was committed, by the writer's clock: milliseconds since 1970 in UTC.
    recorded_at INTEGER NOT NULL,
    UNIQUE (stream_id, version)
) STRICT;

-- Events that were not delivered yet. Written with the event; deleted, many rows at once, after delivery.
CREATE TABLE outbox (
    -- The event in question.
    position INTEGER PRIMARY KEY,
    -- Hash of the room, by which relays share their work.
    bucket INTEGER NOT NULL
) STRICT;

-- One key has one effect: committed with what its command did, at which it points.
CREATE TABLE idempotency_keys (
    -- Order of insertion, in which old records are swept.
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Hash of caller and key: 16 bytes.
    id BLOB NOT NULL UNIQUE,
    -- Hash of the request: 16 bytes. The same key with another request is a mistake of the client.
    fingerprint BLOB NOT NULL,
    -- The event of which the answer speaks.
    position INTEGER,
    -- The other event of a move: in the room that was left.
    other_position INTEGER,
    -- JSON of the outcome where there is no event.
    outcome BLOB,
    -- When its command was committed: milliseconds since 1970 in UTC.
    made_at INTEGER NOT NULL
) STRICT;

-- Unique names, and which rooms a kind has. Written with the event that changes it.
CREATE TABLE rooms (
    -- Order of registration.
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The room: 16 bytes.
    room BLOB NOT NULL UNIQUE,
    -- Its name, or the last one if it is retired.
    name TEXT NOT NULL,
    -- Its kind: rooms of one kind are interchangeable.
    kind TEXT NOT NULL,
    -- Whether it can no longer be booked: 0 or 1.
    retired INTEGER NOT NULL
) STRICT;
-- A retired room frees its name.
CREATE UNIQUE INDEX rooms_live_name ON rooms (name) WHERE retired = 0;
CREATE INDEX rooms_kind ON rooms (kind, retired);

-- Decision states, so that long streams need not be read from their start. May be emptied at any time.
CREATE TABLE snapshots (
    -- The room: 16 bytes.
    stream_id BLOB PRIMARY KEY,
    -- The last version that is in the state.
    version INTEGER NOT NULL,
    -- Form of the state: ignored by readers of another form.
    schema_fingerprint TEXT NOT NULL,
    -- The decision state.
    body BLOB NOT NULL
) STRICT;

-- Rooms whose messages are held back because one was refused for good.
CREATE TABLE held_rooms (
    -- The room: 16 bytes.
    room BLOB PRIMARY KEY,
    -- The event that was refused.
    position INTEGER NOT NULL,
    -- Why.
    reason TEXT NOT NULL,
    -- Since when: milliseconds since 1970 in UTC.
    held_at INTEGER NOT NULL
) STRICT;

-- What all entries of the list of erased persons have in common.
CREATE TABLE erasure_list (
    -- 1: there is one row.
    id INTEGER PRIMARY KEY,
    -- Counts the changes of the list; every append reads it.
    epoch INTEGER NOT NULL,
    -- Key of the hashes of erased persons: 32 bytes.
    secret BLOB NOT NULL
) STRICT;
INSERT INTO erasure_list (id, epoch, secret) VALUES (1, 0, randomblob(32));

-- Persons who were erased, so that what still speaks of them elsewhere is masked when it comes.
CREATE TABLE erasures (
    -- Order of erasure.
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Keyed hash of who was erased, never the name: 32 bytes.
    fingerprint BLOB NOT NULL UNIQUE,
    -- Who stands in their place; random.
    pseudonym TEXT NOT NULL,
    -- Events up to this position are masked; NULL when all are.
    masked_to INTEGER
) STRICT;
