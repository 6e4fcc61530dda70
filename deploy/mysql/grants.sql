-- Grants the command service's users in MySQL exactly the rights that they need. Revokes all others first.
--
--   reservations             serves: MYSQL_URL
--   reservations_erasure     erases persons: MYSQL_ERASURE_URL
--   reservations_migration   makes and changes tables: MYSQL_URL of `command-service migrate`
--
-- An administrator runs this before the first migration, once more after it (see the end), and before each release that
-- changes this file. The users and the database `reservations` must exist, as in docker-compose.yml.
--
-- No user may delete events. Only a migration may change tables, and only an erasure may change events: payload and metadata.
-- The service lists and kills its own sessions only, which needs no right.

REVOKE ALL PRIVILEGES, GRANT OPTION FROM 'reservations'@'%', 'reservations_erasure'@'%', 'reservations_migration'@'%';

-- Migrations. A new store gets this build's form of writing, which is a row of `relay_mode`.
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT ON reservations.events TO 'reservations_migration'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT ON reservations.outbox TO 'reservations_migration'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT ON reservations.idempotency_keys TO 'reservations_migration'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT ON reservations.import_keys TO 'reservations_migration'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT ON reservations.rooms TO 'reservations_migration'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT ON reservations.snapshots TO 'reservations_migration'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT ON reservations.held_rooms TO 'reservations_migration'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT ON reservations.leases TO 'reservations_migration'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT ON reservations.erasure_list TO 'reservations_migration'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT ON reservations.erasures TO 'reservations_migration'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT, UPDATE ON reservations.relay_mode TO 'reservations_migration'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT ON reservations.relay_place TO 'reservations_migration'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT ON reservations.reservation_index TO 'reservations_migration'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT ON reservations.indexed_streams TO 'reservations_migration'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT ON reservations.roll_backs TO 'reservations_migration'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT, UPDATE, DELETE
    ON reservations._sqlx_migrations TO 'reservations_migration'@'%';

-- Serving. MySQL grants a right to a table that does not exist yet only together with CREATE, which goes at once.
GRANT CREATE, SELECT, INSERT ON reservations.events TO 'reservations'@'%';
REVOKE CREATE ON reservations.events FROM 'reservations'@'%';
GRANT CREATE, SELECT, INSERT, DELETE ON reservations.outbox TO 'reservations'@'%';
REVOKE CREATE ON reservations.outbox FROM 'reservations'@'%';
GRANT CREATE, SELECT, INSERT, DELETE ON reservations.idempotency_keys TO 'reservations'@'%';
REVOKE CREATE ON reservations.idempotency_keys FROM 'reservations'@'%';
GRANT CREATE, SELECT, INSERT, DELETE ON reservations.import_keys TO 'reservations'@'%';
REVOKE CREATE ON reservations.import_keys FROM 'reservations'@'%';
GRANT CREATE, SELECT, INSERT, UPDATE ON reservations.rooms TO 'reservations'@'%';
REVOKE CREATE ON reservations.rooms FROM 'reservations'@'%';
GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON reservations.snapshots TO 'reservations'@'%';
REVOKE CREATE ON reservations.snapshots FROM 'reservations'@'%';
GRANT CREATE, SELECT, INSERT, UPDATE ON reservations.reservation_index TO 'reservations'@'%';
REVOKE CREATE ON reservations.reservation_index FROM 'reservations'@'%';
GRANT CREATE, SELECT, INSERT, UPDATE ON reservations.indexed_streams TO 'reservations'@'%';
REVOKE CREATE ON reservations.indexed_streams FROM 'reservations'@'%';
GRANT CREATE, SELECT, INSERT ON reservations.roll_backs TO 'reservations'@'%';
REVOKE CREATE ON reservations.roll_backs FROM 'reservations'@'%';
GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON reservations.held_rooms TO 'reservations'@'%';
REVOKE CREATE ON reservations.held_rooms FROM 'reservations'@'%';
GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON reservations.leases TO 'reservations'@'%';
REVOKE CREATE ON reservations.leases FROM 'reservations'@'%';
GRANT CREATE, SELECT, UPDATE ON reservations.relay_mode TO 'reservations'@'%';
REVOKE CREATE ON reservations.relay_mode FROM 'reservations'@'%';
GRANT CREATE, SELECT, UPDATE ON reservations.relay_place TO 'reservations'@'%';
REVOKE CREATE ON reservations.relay_place FROM 'reservations'@'%';
GRANT CREATE, SELECT ON reservations.erasure_list TO 'reservations'@'%';
REVOKE CREATE ON reservations.erasure_list FROM 'reservations'@'%';
GRANT CREATE, SELECT ON reservations.erasures TO 'reservations'@'%';
REVOKE CREATE ON reservations.erasures FROM 'reservations'@'%';
GRANT CREATE, SELECT ON reservations._sqlx_migrations TO 'reservations'@'%';
REVOKE CREATE ON reservations._sqlx_migrations FROM 'reservations'@'%';

-- Erasures.
GRANT CREATE, SELECT, UPDATE ON reservations.erasure_list TO 'reservations_erasure'@'%';
REVOKE CREATE ON reservations.erasure_list FROM 'reservations_erasure'@'%';
GRANT CREATE, SELECT, INSERT, UPDATE ON reservations.erasures TO 'reservations_erasure'@'%';
REVOKE CREATE ON reservations.erasures FROM 'reservations_erasure'@'%';
GRANT CREATE, SELECT, DELETE ON reservations.snapshots TO 'reservations_erasure'@'%';
REVOKE CREATE ON reservations.snapshots FROM 'reservations_erasure'@'%';

-- An erasure masks personal data of events in place. A right to columns needs existing columns: until this file runs again
-- after the first migration, everything but erasure works.
SET @masking = IF(
    (SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'reservations' AND table_name = 'events') = 1,
    "GRANT SELECT (position), UPDATE (payload, metadata) ON reservations.events TO 'reservations_erasure'@'%'",
    'DO 0');
PREPARE masking FROM @masking;
EXECUTE masking;
DEALLOCATE PREPARE masking;
