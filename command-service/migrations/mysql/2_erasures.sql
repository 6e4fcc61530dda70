-- Run again from its start after it was interrupted, as every migration.

CREATE TABLE IF NOT EXISTS erasure_list (
    id TINYINT UNSIGNED NOT NULL COMMENT '1: there is one row',
    epoch BIGINT UNSIGNED NOT NULL COMMENT 'counts the changes of the list; every append reads it, and waits while it changes',
    secret BINARY(32) NOT NULL COMMENT 'key of the hashes of erased persons',
    PRIMARY KEY (id)
) ENGINE = InnoDB
  COMMENT 'What all entries of the list of erased persons have in common.';

INSERT IGNORE INTO erasure_list (id, epoch, secret) VALUES (1, 0, RANDOM_BYTES(32));

CREATE TABLE IF NOT EXISTS erasures (
    seq BIGINT UNSIGNED NOT NULL AUTO_INCREMENT COMMENT 'order of erasure',
    fingerprint BINARY(32) NOT NULL COMMENT 'keyed hash of who was erased: never the name',
    pseudonym VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'who stands in their place; random',
    masked_to BIGINT UNSIGNED NULL COMMENT 'events up to this position are masked; NULL when all are',
    PRIMARY KEY (seq),
    UNIQUE KEY erasures_fingerprint (fingerprint)
) ENGINE = InnoDB
  COMMENT 'Persons who were erased, so that what still speaks of them elsewhere is masked when it comes.';
