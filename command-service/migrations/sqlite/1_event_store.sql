-- Every event of every room. An erasure masks payload and metadata in place; nothing else changes a row. The unique key is
-- the optimistic lock.
CREATE TABLE events (
    -- Order of insertion over all streams. Never reused.
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
    -- Time of the commit by the writer's clock: milliseconds since 1970 in UTC.
    recorded_at INTEGER NOT NULL,
    UNIQUE (stream_id, version)
) STRICT;

-- Events that are not acknowledged yet. Inserted with the event, deleted in batches after delivery.
CREATE TABLE outbox (
    -- Position of the event.
    position INTEGER PRIMARY KEY,
    -- Hash of the room; relays share their work by buckets.
    bucket INTEGER NOT NULL
) STRICT;

-- One key has one effect. A record is committed with the events of its command and points at them.
CREATE TABLE idempotency_keys (
    -- Order of insertion, in which old records are swept.
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Hash of caller and key: 16 bytes.
    id BLOB NOT NULL UNIQUE,
    -- Hash of the request: 16 bytes. The same key with another fingerprint is the client's mistake.
    fingerprint BLOB NOT NULL,
    -- The event that the answer describes.
    position INTEGER,
    -- The other event of a move, in the former room.
    other_position INTEGER,
    -- JSON of the outcome if there is no event.
    outcome BLOB,
    -- Time of the commit by the store's clock: milliseconds since 1970 in UTC.
    made_at INTEGER NOT NULL
) STRICT;

-- Idempotency records of import lines. They are kept for longer, so that a file can be sent again at any time.
CREATE TABLE import_keys (
    -- Order of insertion, in which old records are swept.
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Hash of the key: 16 bytes.
    id BLOB NOT NULL UNIQUE,
    -- Hash of the line: 16 bytes. The same key with another fingerprint is the client's mistake.
    fingerprint BLOB NOT NULL,
    -- The event that the answer describes.
    position INTEGER,
    -- The other event of a move, in the former room.
    other_position INTEGER,
    -- JSON of the outcome if there is no event.
    outcome BLOB,
    -- Time of the commit by the store's clock: milliseconds since 1970 in UTC.
    made_at INTEGER NOT NULL
) STRICT;

-- Unique names, and the rooms of each kind. Written with the event that changes them.
CREATE TABLE rooms (
    -- Order of registration.
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The room: 16 bytes.
    room BLOB NOT NULL UNIQUE,
    -- Its name; its last name if it is retired.
    name TEXT NOT NULL,
    -- Its kind: rooms of one kind are interchangeable.
    kind TEXT NOT NULL,
    -- Whether it takes no more reservations: 0 or 1.
    retired INTEGER NOT NULL,
    -- The name while it is taken: a retired room frees it.
    live_name TEXT GENERATED ALWAYS AS (IIF(retired, NULL, name)) VIRTUAL UNIQUE
) STRICT;
CREATE INDEX rooms_kind ON rooms (kind, retired);

-- Decision states, which save reading long streams from their start. Can be emptied at any time.
CREATE TABLE snapshots (
    -- The room: 16 bytes.
    stream_id BLOB PRIMARY KEY,
    -- The last version in the state.
    version INTEGER NOT NULL,
    -- Form of the state; readers of another form ignore it.
    schema_fingerprint TEXT NOT NULL,
    -- The decision state.
    body BLOB NOT NULL
) STRICT;

-- Rooms that the relay has stopped, because an event was refused for good.
CREATE TABLE held_rooms (
    -- The room: 16 bytes.
    room BLOB PRIMARY KEY,
    -- The refused event.
    position INTEGER NOT NULL,
    -- Why it was refused.
    reason TEXT NOT NULL,
    -- Since when: milliseconds since 1970 in UTC.
    held_at INTEGER NOT NULL
) STRICT;

-- State of the list of erased persons.
CREATE TABLE erasure_list (
    -- 1: there is one row.
    id INTEGER PRIMARY KEY,
    -- Number of changes of the list. Each append reads it.
    epoch INTEGER NOT NULL,
    -- Key of the hashes of erased persons: 32 bytes.
    secret BLOB NOT NULL
) STRICT;
INSERT INTO erasure_list (id, epoch, secret) VALUES (1, 0, randomblob(32));

-- Erased persons. New events that name one are masked at the append.
CREATE TABLE erasures (
    -- Order of erasure.
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Keyed hash of the erased person, never the name: 32 bytes.
    fingerprint BLOB NOT NULL UNIQUE,
    -- Random name that replaces the person's.
    pseudonym TEXT NOT NULL,
    -- Events up to this position are masked; NULL when all are.
    masked_to INTEGER
) STRICT;

-- Finds what a room has forgotten without reading its stream. Filled when first needed. May be emptied together with
-- indexed_streams.
CREATE TABLE reservation_index (
    -- The room: 16 bytes.
    stream_id BLOB NOT NULL,
    -- A reservation that is or was in the room: 16 bytes.
    reservation BLOB NOT NULL,
    -- Its last event in the stream, up to the version in indexed_streams.
    version INTEGER NOT NULL,
    PRIMARY KEY (stream_id, reservation)
) STRICT, WITHOUT ROWID;

-- How far reservation_index goes.
CREATE TABLE indexed_streams (
    -- The room: 16 bytes.
    stream_id BLOB PRIMARY KEY,
    -- The last version whose reservation is in reservation_index.
    version INTEGER NOT NULL
) STRICT;

-- Plans of roll-backs. A run that is started again follows its plan, and no later roll-back takes its changes back.
CREATE TABLE roll_backs (
    -- A run, or its plan: 16 bytes.
    id BLOB NOT NULL,
    -- 0, 1, 2, ...
    part INTEGER NOT NULL,
    -- JSON: of a run the id of its plan, of a plan a list of steps, which name nobody.
    body BLOB NOT NULL,
    PRIMARY KEY (id, part)
) STRICT, WITHOUT ROWID;
