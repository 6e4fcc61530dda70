-- Hash of what names that look alike have in common: 16 bytes. A program computes it: see fill_name_keys.
ALTER TABLE rooms ADD COLUMN name_key BLOB;
-- The name whose key is unique; NULL if another room had a name that looks alike before there were keys.
ALTER TABLE rooms ADD COLUMN keyed_name TEXT;
-- A retired room frees its key.
CREATE UNIQUE INDEX rooms_live_name_key ON rooms (IIF(NOT retired AND keyed_name = name, name_key, NULL));
CREATE INDEX rooms_name_key ON rooms (name_key);
