#!/usr/bin/env bash
# The part of the original's entrypoint that docker-compose.yml uses: MYSQL_ROOT_PASSWORD, MYSQL_DATABASE, MYSQL_USER,
# MYSQL_PASSWORD, /docker-entrypoint-initdb.d/*.{sh,sql}, and arguments for mysqld.
set -euo pipefail
[[ ${1:-} != -* ]] || set -- mysqld "$@"
[[ ${1:-} == mysqld ]] || exec "$@"
shift
DATA=/var/lib/mysql
SERVER=(mysqld --no-defaults --user=mysql --datadir="$DATA" --socket=/var/run/mysqld/mysqld.sock --secure-file-priv=)

client() { mysql --no-defaults --protocol=socket --socket=/var/run/mysqld/mysqld.sock --user=root "$@"; }

# Again after an interrupted initialization: the mark comes last.
if [[ ! -e $DATA/initialized-by-entrypoint ]]; then
    find "$DATA" -mindepth 1 -delete
    chown mysql:mysql "$DATA"
    "${SERVER[@]}" --initialize-insecure
    # On its socket only, like the original, so that the health check fails until the end.
    "${SERVER[@]}" "$@" --skip-networking &
    until client --execute 'SELECT 1' >/dev/null 2>&1; do
        kill -0 $!
        sleep 0.2
    done
    client <<SQL
CREATE DATABASE IF NOT EXISTS \`$MYSQL_DATABASE\`;
CREATE USER '$MYSQL_USER'@'%' IDENTIFIED BY '$MYSQL_PASSWORD';
GRANT ALL ON \`${MYSQL_DATABASE//_/\\_}\`.* TO '$MYSQL_USER'@'%';
CREATE USER 'root'@'%' IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';
GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;
SQL
    for script in /docker-entrypoint-initdb.d/*; do
        case $script in
            *.sql) client "$MYSQL_DATABASE" <"$script" ;;
            *.sh) bash "$script" ;;
        esac
    done
    client --execute "ALTER USER 'root'@'localhost' IDENTIFIED BY '$MYSQL_ROOT_PASSWORD'"
    kill $!
    wait $!
    touch "$DATA/initialized-by-entrypoint"
fi
exec "${SERVER[@]}" "$@"
