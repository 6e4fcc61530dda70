-- Lets the command service's user read MySQL's binary log, for `command-service relay mode log`. Without it, the relay reads the
-- outbox table.
--
-- The rights are of the whole server: who has them can read what is written to every database of it. So the event store should
-- have a server of its own.

GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'reservations'@'%';
