-- For the mode `debezium` of the relay alone: grants the connector's user what it needs. An administrator runs this before
-- `command-service relay mode debezium`. The user and the database `reservations` must exist.
--
-- REPLICATION SLAVE shows every change of every database of the server. The connector locks no table.

REVOKE ALL PRIVILEGES, GRANT OPTION FROM 'reservations_cdc'@'%';

GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'reservations_cdc'@'%';
-- MySQL grants a right to a table that does not exist yet only together with CREATE, which goes at once.
GRANT CREATE, SELECT ON reservations.events TO 'reservations_cdc'@'%';
REVOKE CREATE ON reservations.events FROM 'reservations_cdc'@'%';
