-- For docker-compose.yml alone: the users of grants*.sql beside its own, with a public password.

CREATE USER IF NOT EXISTS 'reservations_erasure'@'%' IDENTIFIED BY 'development';
CREATE USER IF NOT EXISTS 'reservations_migration'@'%' IDENTIFIED BY 'development';
CREATE USER IF NOT EXISTS 'reservations_cdc'@'%' IDENTIFIED BY 'development';
