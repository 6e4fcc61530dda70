-- Grants the command service's user in MySQL exactly the rights that it needs. Revokes all others first.
--
-- An administrator runs this before the first start, once more after it (see the end), and before each release that changes
-- this file. The user `reservations` and the database `reservations` must exist, as in docker-compose.yml.
--
-- No right deletes events, or changes their order or type. CREATE, ALTER, INDEX and REFERENCES are for migrations at start,
-- on the service's own tables. The service lists and kills its own sessions only, which needs no right.

REVOKE ALL PRIVILEGES, GRANT OPTION FROM 'reservations'@'%';

GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT ON reservations.events TO 'reservations'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT, DELETE ON reservations.outbox TO 'reservations'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT, DELETE ON reservations.idempotency_keys TO 'reservations'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT, UPDATE ON reservations.rooms TO 'reservations'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT, UPDATE, DELETE ON reservations.snapshots TO 'reservations'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT, UPDATE ON reservations.reservation_index TO 'reservations'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT, UPDATE ON reservations.indexed_streams TO 'reservations'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT, UPDATE, DELETE ON reservations.held_rooms TO 'reservations'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT, UPDATE, DELETE ON reservations.leases TO 'reservations'@'%';

-- The list of erased persons.
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT, UPDATE ON reservations.erasure_list TO 'reservations'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT, UPDATE ON reservations.erasures TO 'reservations'@'%';

-- The list of applied migrations.
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT, UPDATE, DELETE
    ON reservations._sqlx_migrations TO 'reservations'@'%';

-- An erasure masks personal data of events in place. A right to columns needs existing columns: until this file runs again
-- after the first start, everything but erasure works.
SET @masking = IF(
    (SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'reservations' AND table_name = 'events') = 1,
    "GRANT UPDATE (payload, metadata) ON reservations.events TO 'reservations'@'%'",
    'DO 0');
PREPARE masking FROM @masking;
EXECUTE masking;
DEALLOCATE PREPARE masking;
