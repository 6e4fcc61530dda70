-- MySQL commits each DDL statement, and an interrupted migration runs again from its start. So each statement must do nothing
-- if its change exists already.

CREATE TABLE IF NOT EXISTS events (
    position BIGINT UNSIGNED NOT NULL AUTO_INCREMENT
        COMMENT 'order of insertion over all streams; assigned at insert, so a lower position can become visible later',
    stream_id BINARY(16) NOT NULL COMMENT 'the room',
    version BIGINT UNSIGNED NOT NULL COMMENT 'place in the stream: 1, 2, 3, ... without gaps',
    type VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'ce_type',
    payload MEDIUMBLOB NOT NULL COMMENT 'JSON of the event, byte for byte as it is sent; the JSON type would reorder its keys',
    metadata BLOB NOT NULL COMMENT 'JSON of the other attributes: time, subject, actor, correlation, causation, trace',
    recorded_at BIGINT NOT NULL COMMENT 'time of the commit by the writer''s clock: milliseconds since 1970 in UTC',
    PRIMARY KEY (position),
    UNIQUE KEY events_stream_version (stream_id, version)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin
  COMMENT 'Every event of every room. An erasure masks payload and metadata in place; nothing else changes a row. The unique key is the optimistic lock.';

CREATE TABLE IF NOT EXISTS outbox (
    position BIGINT UNSIGNED NOT NULL COMMENT 'position of the event',
    bucket SMALLINT UNSIGNED NOT NULL COMMENT 'hash of the room; relays share their work by buckets',
    PRIMARY KEY (position)
) ENGINE = InnoDB
  COMMENT 'Events that Kafka has not acknowledged yet. Inserted with the event, deleted in batches after delivery.';

CREATE TABLE IF NOT EXISTS idempotency_keys (
    seq BIGINT UNSIGNED NOT NULL AUTO_INCREMENT COMMENT 'order of insertion, in which old records are swept',
    id BINARY(16) NOT NULL COMMENT 'hash of caller and key',
    fingerprint BINARY(16) NOT NULL COMMENT 'hash of the request; the same key with another fingerprint is the client''s mistake',
    position BIGINT UNSIGNED NULL COMMENT 'the event that the answer describes',
    other_position BIGINT UNSIGNED NULL COMMENT 'the other event of a move, in the former room',
    outcome BLOB NULL COMMENT 'JSON of the outcome if there is no event',
    made_at BIGINT NOT NULL COMMENT 'time of the commit by the store''s clock: milliseconds since 1970 in UTC',
    PRIMARY KEY (seq),
    UNIQUE KEY idempotency_keys_id (id)
) ENGINE = InnoDB
  COMMENT 'One key has one effect. A record is committed with the events of its command and points at them.';

CREATE TABLE IF NOT EXISTS import_keys (
    seq BIGINT UNSIGNED NOT NULL AUTO_INCREMENT COMMENT 'order of insertion, in which old records are swept',
    id BINARY(16) NOT NULL COMMENT 'hash of the key',
    fingerprint BINARY(16) NOT NULL COMMENT 'hash of the line; the same key with another fingerprint is the client''s mistake',
    position BIGINT UNSIGNED NULL COMMENT 'the event that the answer describes',
    other_position BIGINT UNSIGNED NULL COMMENT 'the other event of a move, in the former room',
    outcome BLOB NULL COMMENT 'JSON of the outcome if there is no event',
    made_at BIGINT NOT NULL COMMENT 'time of the commit by the store''s clock: milliseconds since 1970 in UTC',
    PRIMARY KEY (seq),
    UNIQUE KEY import_keys_id (id)
) ENGINE = InnoDB
  COMMENT 'Idempotency records of import lines. They are kept for longer, so that a file can be sent again at any time.';

CREATE TABLE IF NOT EXISTS rooms (
    seq BIGINT UNSIGNED NOT NULL AUTO_INCREMENT COMMENT 'order of registration',
    room BINARY(16) NOT NULL COMMENT 'the room',
    name VARCHAR(200) NOT NULL COMMENT 'its name; its last name if it is retired',
    kind VARCHAR(200) NOT NULL COMMENT 'its kind: rooms of one kind are interchangeable',
    retired BOOLEAN NOT NULL COMMENT 'whether it takes no more reservations',
    live_name VARCHAR(200) GENERATED ALWAYS AS (IF(retired, NULL, name)) VIRTUAL
        COMMENT 'the name while it is taken: a retired room frees it',
    PRIMARY KEY (seq),
    UNIQUE KEY rooms_room (room),
    UNIQUE KEY rooms_live_name (live_name),
    KEY rooms_kind (kind, retired)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin
  COMMENT 'Unique names, and the rooms of each kind. Written with the event that changes them.';

CREATE TABLE IF NOT EXISTS snapshots (
    stream_id BINARY(16) NOT NULL COMMENT 'the room',
    version BIGINT UNSIGNED NOT NULL COMMENT 'the last version in the state',
    schema_fingerprint VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL
        COMMENT 'form of the state; readers of another form ignore it',
    body MEDIUMBLOB NOT NULL COMMENT 'the decision state',
    PRIMARY KEY (stream_id)
) ENGINE = InnoDB
  COMMENT 'Decision states, which save reading long streams from their start. Can be emptied at any time.';

CREATE TABLE IF NOT EXISTS held_rooms (
    room BINARY(16) NOT NULL COMMENT 'the room',
    position BIGINT UNSIGNED NOT NULL COMMENT 'the refused event',
    reason VARCHAR(1000) NOT NULL COMMENT 'why Kafka refused it',
    held_at BIGINT NOT NULL COMMENT 'since when: milliseconds since 1970 in UTC',
    released_to BIGINT UNSIGNED NULL COMMENT 'released: the outbox has the room''s events up to this position; the binary log has the later ones',
    PRIMARY KEY (room)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin
  COMMENT 'Rooms that the relay has stopped, because Kafka refused an event for good.';

CREATE TABLE IF NOT EXISTS leases (
    name VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'member/NAME for an instance, bucket/N for a bucket',
    holder VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'the instance that holds it, or empty',
    epoch BIGINT UNSIGNED NOT NULL COMMENT 'one more with each holder',
    heartbeat BIGINT UNSIGNED NOT NULL COMMENT 'grows while the instance lives; others time it with their own monotonic clocks',
    PRIMARY KEY (name)
) ENGINE = InnoDB
  COMMENT 'Live instances, and the instance that relays each bucket. An instance is dead when its heartbeat stops; no clock times are compared.';

CREATE TABLE IF NOT EXISTS erasure_list (
    id TINYINT UNSIGNED NOT NULL COMMENT '1: there is one row',
    epoch BIGINT UNSIGNED NOT NULL COMMENT 'number of changes of the list; each append reads it, and waits during a change',
    secret BINARY(32) NOT NULL COMMENT 'key of the hashes of erased persons',
    PRIMARY KEY (id)
) ENGINE = InnoDB
  COMMENT 'State of the list of erased persons.';

INSERT IGNORE INTO erasure_list (id, epoch, secret) VALUES (1, 0, RANDOM_BYTES(32));

CREATE TABLE IF NOT EXISTS relay_mode (
    id TINYINT UNSIGNED NOT NULL COMMENT '1: there is one row',
    phase VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'table'
        COMMENT 'how committed events reach Kafka now; decides whether an append writes outbox rows',
    mode_epoch BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'number of changes of the phase',
    phase_since BIGINT NULL COMMENT 'time of the last change: milliseconds since 1970 in UTC; NULL before the first',
    wanted VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'table' COMMENT 'the mode that the operator wants',
    barrier BIGINT UNSIGNED NOT NULL DEFAULT 0
        COMMENT 'every event up to this position was committed before this row''s change in the binary log',
    barrier_no BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'number of barriers',
    writer_form INT UNSIGNED NOT NULL DEFAULT 1 COMMENT 'instances that know only lower forms of writing must not append',
    PRIMARY KEY (id)
) ENGINE = InnoDB
  COMMENT 'How committed events reach Kafka. Every append reads it, and waits during a change.';

-- A new store begins with the form of this build.
INSERT IGNORE INTO relay_mode (id, writer_form) VALUES (1, 2);

CREATE TABLE IF NOT EXISTS relay_place (
    id TINYINT UNSIGNED NOT NULL COMMENT '1: there is one row',
    leader_epoch BIGINT UNSIGNED NOT NULL COMMENT 'one more with each instance that begins to relay the binary log',
    mode_epoch BIGINT UNSIGNED NOT NULL COMMENT 'the change of the phase to which the place belongs',
    server_uuid VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'the server of file and position',
    file VARCHAR(250) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'binary log file',
    file_position BIGINT UNSIGNED NOT NULL COMMENT 'start of a transaction in it',
    gtids MEDIUMTEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'transactions before it; empty when the server has no GTIDs',
    anchor VARCHAR(200) CHARACTER SET ascii COLLATE ascii_bin NOT NULL
        COMMENT 'what the transaction at the place must hold; empty before the first event',
    delivered_to BIGINT UNSIGNED NOT NULL COMMENT 'every event up to this position is delivered',
    problem VARCHAR(1000) NOT NULL COMMENT 'why the binary log is not relayed although it should be; empty if it is',
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin
  COMMENT 'How far the binary log is relayed. Everything before the place is acknowledged by Kafka.';

INSERT IGNORE INTO relay_place (id, leader_epoch, mode_epoch, server_uuid, file, file_position, gtids, anchor, delivered_to, problem)
    VALUES (1, 0, 0, '', '', 0, '', '', 0, '');

CREATE TABLE IF NOT EXISTS erasures (
    seq BIGINT UNSIGNED NOT NULL AUTO_INCREMENT COMMENT 'order of erasure',
    fingerprint BINARY(32) NOT NULL COMMENT 'keyed hash of the erased person, never the name',
    pseudonym VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'random name that replaces the person''s',
    masked_to BIGINT UNSIGNED NULL COMMENT 'events up to this position are masked; NULL when all are',
    PRIMARY KEY (seq),
    UNIQUE KEY erasures_fingerprint (fingerprint)
) ENGINE = InnoDB
  COMMENT 'Erased persons. New events that name one are masked at the append.';

CREATE TABLE IF NOT EXISTS reservation_index (
    stream_id BINARY(16) NOT NULL COMMENT 'the room',
    reservation BINARY(16) NOT NULL COMMENT 'a reservation that is or was in the room',
    version BIGINT UNSIGNED NOT NULL COMMENT 'its last event in the stream, up to the version in indexed_streams',
    PRIMARY KEY (stream_id, reservation)
) ENGINE = InnoDB
  COMMENT 'Finds what a room has forgotten without reading its stream. Filled when first needed. May be emptied together with indexed_streams.';

CREATE TABLE IF NOT EXISTS indexed_streams (
    stream_id BINARY(16) NOT NULL COMMENT 'the room',
    version BIGINT UNSIGNED NOT NULL COMMENT 'the last version whose reservation is in reservation_index',
    PRIMARY KEY (stream_id)
) ENGINE = InnoDB
  COMMENT 'How far reservation_index goes.';

CREATE TABLE IF NOT EXISTS roll_backs (
    id BINARY(16) NOT NULL COMMENT 'a run, or its plan',
    part INT UNSIGNED NOT NULL COMMENT '0, 1, 2, ...',
    body MEDIUMBLOB NOT NULL COMMENT 'JSON: of a run the id of its plan, of a plan a list of steps, which name nobody',
    PRIMARY KEY (id, part)
) ENGINE = InnoDB
  COMMENT 'Plans of roll-backs. A run that is started again follows its plan, and no later roll-back takes its changes back.';
