-- Rooms get a key that names which look alike share. A program computes it: see fill_name_keys. Instances of an older build
-- leave it NULL, and leave keyed_name behind when they rename a room; neither guards a name then.
SET @change = IF(
    EXISTS (SELECT 1 FROM information_schema.columns
            WHERE table_schema = DATABASE() AND table_name = 'rooms' AND column_name = 'name_key'),
    'DO 0',
    'ALTER TABLE rooms
        ADD COLUMN name_key BINARY(16) NULL COMMENT ''hash of what names that look alike have in common'',
        ADD COLUMN keyed_name VARCHAR(200) NULL
            COMMENT ''the name whose key is unique; NULL if another room had a name that looks alike before there were keys'',
        ADD COLUMN live_name_key BINARY(16) GENERATED ALWAYS AS (IF(NOT retired AND keyed_name = name, name_key, NULL)) VIRTUAL
            COMMENT ''the key while it is taken: a retired room frees it'',
        ADD UNIQUE KEY rooms_live_name_key (live_name_key),
        ADD KEY rooms_name_key (name_key)');
PREPARE change_rooms FROM @change;
EXECUTE change_rooms;
DEALLOCATE PREPARE change_rooms;
