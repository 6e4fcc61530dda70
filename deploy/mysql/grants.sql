-- The rights of the command service's user in MySQL, and no others. Run by an administrator: before the first start, after
-- it once more (see the end), and before each release that changes this file. It first takes away all that the user has.
--
-- Names as docker-compose.yml has them: the user `reservations`, the database `reservations`. Both must be there.
--
-- Events are facts: nothing may delete them, change their order or say that they were other events. CREATE, ALTER, INDEX and
-- REFERENCES are for migrations, which the service runs at start; they hold for its own tables alone. The only sessions that
-- it sees and ends are its own, which takes no right.

REVOKE ALL PRIVILEGES, GRANT OPTION FROM 'reservations'@'%';

GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT ON reservations.events TO 'reservations'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT, DELETE ON reservations.outbox TO 'reservations'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT, DELETE ON reservations.idempotency_keys TO 'reservations'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT, UPDATE ON reservations.rooms TO 'reservations'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT, UPDATE, DELETE ON reservations.snapshots TO 'reservations'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT, UPDATE, DELETE ON reservations.held_rooms TO 'reservations'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT, UPDATE, DELETE ON reservations.leases TO 'reservations'@'%';

-- Which persons were erased.
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT, UPDATE ON reservations.erasure_list TO 'reservations'@'%';
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT, UPDATE ON reservations.erasures TO 'reservations'@'%';

-- Which migrations have run.
GRANT CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT, UPDATE, DELETE
    ON reservations._sqlx_migrations TO 'reservations'@'%';

-- What events hold of a person can be masked in place, to erase the person. A right to columns can't be given before they are
-- there: without a second run of this file, after the first start, everything works but erasure.
SET @masking = IF(
    (SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'reservations' AND table_name = 'events') = 1,
    "GRANT UPDATE (payload, metadata) ON reservations.events TO 'reservations'@'%'",
    'DO 0');
PREPARE masking FROM @masking;
EXECUTE masking;
DEALLOCATE PREPARE masking;
