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
