#!/usr/bin/env bash
# Runs real MySQL, Kafka and MongoDB on loopback, without Docker. See the usage below.
set -euo pipefail
HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

usage() {
    cat >&2 <<'END'
usage: servers.sh COMMAND [mysql] [kafka] [mongodb] [connect]        (default: the first three)

  up | start   fetch, start, wait until ready; print the variables for `eval "$(servers.sh up)"`
  down | stop  stop cleanly
  kill         stop with SIGKILL, like a crash; `start` then finds the same data
  reset        down, delete the data, up
  env          print the variables only
  status       print a table; exit status 3 if a server does not run
  mysql-client [arguments]     the MySQL client, connected
  kafka-acls [arguments]       Kafka's tool for rights (kafka-acls.sh)
  kafka-configs [arguments]    Kafka's tool for settings and passwords (kafka-configs.sh)
  connect-jars                 fetch Kafka Connect and its plugins, print their folder

`connect` is a worker of Kafka Connect with Debezium's connector for MySQL. `down`, `stop` and `kill` without names end it too.

Environment: SERVERS_DIR (data and logs; default: .servers in the repository), MYSQL_PORT (13306), KAFKA_PORT (19092; the
controller listens on the next one), MONGODB_PORT (17017); 0 is any free port. KAFKA_ADVERTISED_PORT is the port that Kafka
tells clients, for a proxy in between (default: KAFKA_PORT). CONNECT_PORT (8083), CONNECT_BROKERS (default: Kafka of this
set), CONNECT_GROUP (names the worker and its topics; default: connect), DEBEZIUM_USER and DEBEZIUM_PASSWORD (variables of
connectors; default: MySQL's root of this set). Each folder is a set of servers of its own and remembers its
last ports. Kafka's settings in SERVERS_DIR/kafka.properties win over its own. deploy/test.sh stops and deletes the sets that tests leave in .servers/private/.

Servers run as the user room-reservations, made if missing, when root calls this; else as the caller. MySQL's root has a random
password, in SERVERS_DIR/mysql-password.
END
    exit 2
}

say() { echo "servers: $*" >&2; }

die() { # STEP WHY [LOG]
    say "FAILED while $1: $2"
    if [[ -n ${3:-} && -s $3 ]]; then
        say "the end of $3:"
        tail -n 25 "$3" | sed 's/^/    /' >&2
    fi
    exit 1
}

# shellcheck source=deploy/servers/install.sh
source "$HERE/install.sh"

ALL=(mysql kafka mongodb)
KNOWN=("${ALL[@]}" connect)
ACCOUNT=room-reservations # of the servers when root starts them
DIR="${SERVERS_DIR:-$(cd "$HERE/../.." && pwd)/.servers}"
RUN="$DIR/run"

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A free port whose next one is free too, below the range of outgoing connections.
free_port() {
    local port
    while port=$((20000 + RANDOM % 5000 * 2)); do
        if ! listening "$port" && ! listening $((port + 1)); then
            echo "$port"
            return
        fi
    done
}

settings() {
    local file="$RUN/ports" name value
    if [[ -f $file ]]; then
        while IFS='=' read -r name value; do
            [[ ${!name:-0} != 0 ]] || printf -v "$name" '%s' "$value"
        done <"$file"
    fi
    : "${MYSQL_PORT:=13306}" "${KAFKA_PORT:=19092}" "${MONGODB_PORT:=17017}" "${CONNECT_PORT:=8083}"
    for name in MYSQL_PORT KAFKA_PORT MONGODB_PORT CONNECT_PORT; do
        [[ ${!name} != 0 ]] || printf -v "$name" '%s' "$(free_port)"
    done
    KAFKA_CONTROLLER_PORT=$((KAFKA_PORT + 1))
}

remember_ports() { # NAME...: adds these to the remembered ones
    local name known
    known="$(cat "$RUN/ports" 2>/dev/null || true)"
    for name in "${KNOWN[@]}"; do
        if [[ " $* " == *" $name "* || $known == *"${name^^}_PORT="* ]]; then echo "${name^^}_PORT=$(port_of "$name")"; fi
    done >"$RUN/ports"
}

port_of() { local name="${1^^}_PORT"; echo "${!name}"; }

# --- processes -------------------------------------------------------------------------------------------------------
# A pid file holds the pid and the start time of the process, in clock ticks since boot. Both together identify one process,
# so a reused pid is never touched.

began() { # PID
    local stat
    stat="$(cat "/proc/$1/stat" 2>/dev/null)" || return 1
    # The name in parentheses may have spaces, so fields count after it. A zombie has ended.
    read -r -a stat <<<"${stat##*) }"
    [[ ${stat[0]} != Z ]] && echo "${stat[19]}"
}

pid_of() { # NAME: prints the pid if the server of this folder runs
    local pid start
    read -r pid start 2>/dev/null <"$RUN/$1.pid" || return 1
    [[ "$(began "$pid")" == "$start" ]] && echo "$pid"
}

has_threads() { # PID: more than one; a zombie has one
    local threads=(/proc/"$1"/task/*)
    ((${#threads[@]} > 1))
}

spawn() { # NAME COMMAND...: starts it detached, with its own log
    local name=$1 log="$RUN/$1.log" pid
    shift
    [[ -f $log ]] && mv "$log" "$log.old"
    setsid "$@" </dev/null >"$log" 2>&1 9>&- &
    pid=$!
    echo "$pid $(began "$pid")" >"$RUN/$name.pid"
}

await() { # NAME SECONDS TEST...: waits until TEST succeeds; fails if the server ends
    local name=$1 deadline=$((SECONDS + $2))
    shift 2
    until "$@" >/dev/null 2>&1; do
        pid_of "$name" >/dev/null || die "starting $name" "it ended" "$RUN/$name.log"
        ((SECONDS < deadline)) || die "starting $name" "it was not ready in time" "$RUN/$name.log"
        sleep 0.1
    done
}

end() { # NAME SIGNAL: ends the server and waits for it
    local name=$1 signal=$2 pid deadline=$((SECONDS + 30))
    if pid="$(pid_of "$name")"; then
        say "ending $name (pid $pid, SIG$signal)"
        kill "-$signal" "$pid" 2>/dev/null || true
        # Memory and locks are free only after all threads have ended, later than the process.
        while pid_of "$name" >/dev/null || has_threads "$pid"; do
            if ((SECONDS >= deadline)); then
                say "$name did not end in 30 s: SIGKILL"
                kill -KILL "$pid" 2>/dev/null || true
                deadline=$((SECONDS + 30))
            fi
            sleep 0.05
        done
    fi
    rm -f "$RUN/$name.pid"
}

# --- the servers' user -----------------------------------------------------------------------------------------------
# Root starts servers as ACCOUNT; anyone else starts them as themselves, in a user namespace in which they may mount.

NAMESPACE=(unshare --mount)
CHROOT=(chroot)
if ((EUID)); then
    NAMESPACE=(unshare --map-current-user --keep-caps --mount)
    CHROOT=(unshare --map-root-user chroot)
fi

make_account() {
    ((EUID == 0)) || return 0
    id "$ACCOUNT" >/dev/null 2>&1 ||
        useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$ACCOUNT" ||
        id "$ACCOUNT" >/dev/null 2>&1 || die "making the user $ACCOUNT" "useradd failed"
    # The servers find their files by these folders.
    chmod a+x "$DIR" "$RUN"
}

give() { # FILE...: makes the servers' user their owner
    if ((EUID == 0)); then chown -R "$ACCOUNT:" "$@"; fi
}

server_user() { # prints the option of chroot
    if ((EUID == 0)); then echo "--userspec=$(id -u "$ACCOUNT"):$(id -g "$ACCOUNT")"; fi
}

# --- the servers -----------------------------------------------------------------------------------------------

# With a folder `tls` beside the data, MySQL and Kafka require TLS, and Kafka requires passwords and rights. The folder holds
# ca.pem, cert.pem, key.pem, server.pem (key, then certificate) and kafka-users (lines of name and password; `admin` has all
# rights).

# Runs a command as the servers' user inside the Debian tree, with this set's folder as /servers. The mounts are in the
# process's own namespace, so they end with it, even after a SIGKILL.
# shellcheck disable=SC2016 # the inner bash expands them
inside() {
    exec "${NAMESPACE[@]}" bash -ec '
        debian=$1 mongodb=$2 dir=$3 user=$4
        shift 4
        mount --rbind /proc "$debian/proc"
        mount --rbind /sys "$debian/sys"
        mount --rbind /dev "$debian/dev"
        mount --bind "$dir/tmp" "$debian/tmp"
        mount --bind "$dir" "$debian/servers"
        if [[ -d $mongodb ]]; then mount --bind "$mongodb" "$debian/opt/mongodb"; fi
        exec chroot ${user:+"$user"} "$debian" "$@"' inside "$DEBIAN" "$MONGODB" "$DIR" "$(server_user)" "$@"
}

# Runs a command as the servers' user with this machine's programs, with this set's folder as /mnt and Kafka's jars in it: the
# user may have no way into the folders of whoever calls.
# shellcheck disable=SC2016 # the inner bash expands them
beside() {
    exec "${NAMESPACE[@]}" bash -ec '
        kafka=$1 dir=$2 user=$3
        shift 3
        mount --bind "$kafka" "$dir/jars"
        mount --rbind "$dir" /mnt
        cd /
        exec chroot ${user:+"$user"} / "$@"' beside "$KAFKA" "$DIR" "$(server_user)" "$@"
}

detached() { # NAME inside|beside COMMAND...: through a new bash, because setsid can't start a function
    local name=$1 how=$2
    shift 2
    spawn "$name" bash -c "$(declare -p NAMESPACE ACCOUNT DEBIAN MONGODB KAFKA DIR)
        $(declare -f server_user "$how")
        $how \"\$@\"" "$how" "$@"
}

# --- MySQL: its root has a password, which this set keeps ---

mysql_password() { cat "$DIR/mysql-password" 2>/dev/null || true; }

mysql_tool() {
    MYSQL_PWD="$(mysql_password)" "${CHROOT[@]}" "$DEBIAN" "$1" --no-defaults --protocol=tcp --host=127.0.0.1 \
        --port="$MYSQL_PORT" --user=root "${@:2}"
}

begin_mysql() {
    [[ -s $DIR/mysql-password ]] ||
        (umask 077 && od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$DIR/mysql-password.new" &&
            mv "$DIR/mysql-password.new" "$DIR/mysql-password")
    cp "$HERE/mysql.cnf" "$RUN/mysql.cnf"
    if [[ -d $DIR/tls ]]; then
        printf '%s\n' 'require-secure-transport = ON' 'ssl-ca = /servers/tls/ca.pem' 'ssl-cert = /servers/tls/cert.pem' \
            'ssl-key = /servers/tls/key.pem' >>"$RUN/mysql.cnf"
    fi
    if [[ ! -d $DIR/mysql ]]; then
        rm -rf "$DIR/mysql.new"
        mkdir "$DIR/mysql.new"
        give "$DIR/mysql.new"
        (inside mysqld --defaults-file=/servers/run/mysql.cnf --initialize-insecure --datadir=/servers/mysql.new) \
            >"$RUN/mysql.log" 2>&1 </dev/null || die "initializing MySQL" "mysqld --initialize failed" "$RUN/mysql.log"
        mv "$DIR/mysql.new" "$DIR/mysql"
    fi
    # After a SIGKILL, this file makes mysqld refuse while any process has the old pid, even a zombie.
    rm -f "$DIR/mysql/mysql.sock.lock"
    # MySQL runs this file before it takes connections. At each start, so the password always is the kept one.
    (umask 077 && printf "SET sql_log_bin = 0;\nALTER USER 'root'@'localhost' IDENTIFIED BY '%s';\n" "$(mysql_password)" \
        >"$RUN/mysql-init.sql")
    give "$DIR/mysql" "$RUN/mysql.cnf" "$RUN/mysql-init.sql"
    detached mysql inside mysqld --defaults-file=/servers/run/mysql.cnf --datadir=/servers/mysql --port="$MYSQL_PORT" \
        --socket=/servers/mysql/mysql.sock --init-file=/servers/run/mysql-init.sql
    await mysql 120 mysql_tool mysqladmin --silent ping
    rm "$RUN/mysql-init.sql"
}

begin_kafka() {
    local id files=("$HERE/kafka.properties") users=() user
    # The second value of a property counts.
    [[ ! -d $DIR/tls ]] || files+=("$HERE/kafka-tls.properties")
    [[ ! -f $DIR/kafka.properties ]] || files+=("$DIR/kafka.properties")
    sed -e "s/@PORT@/$KAFKA_PORT/; s/@CONTROLLER_PORT@/$KAFKA_CONTROLLER_PORT/" \
        -e "s/@ADVERTISED_PORT@/${KAFKA_ADVERTISED_PORT:-$KAFKA_PORT}/" -e 's|@DATA@|/mnt/kafka|' \
        -e "s|@TLS@|/mnt/tls|; s|@ADMIN_PASSWORD@|$(sed -n 's/^admin //p' "$DIR/tls/kafka-users" 2>/dev/null)|" \
        "${files[@]}" >"$RUN/kafka.properties"
    chmod 600 "$RUN/kafka.properties"
    cp "$HERE/kafka-log4j2.properties" "$RUN/"
    # Kafka writes this file last, so a folder without it is not completely formatted.
    if [[ ! -f $DIR/kafka/meta.properties ]]; then
        rm -rf "$DIR/kafka"
        mkdir "$DIR/kafka"
        while [[ -d $DIR/tls ]] && read -r -a user; do
            users+=(--add-scram "SCRAM-SHA-512=[name=${user[0]},password=${user[1]}]")
        done < <(cat "$DIR/tls/kafka-users" 2>/dev/null)
        id="$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=')"
        [[ $id != -* ]] || id="A${id:1}"
        give "$DIR/kafka" "$RUN"/kafka*.properties
        (beside java -cp '/mnt/jars/lib/*' -Dlog4j2.configurationFile=/mnt/run/kafka-log4j2.properties \
            kafka.tools.StorageTool format -t "$id" -c /mnt/run/kafka.properties "${users[@]}") >"$RUN/kafka.log" 2>&1 </dev/null ||
            die "formatting Kafka's log folder" "StorageTool failed" "$RUN/kafka.log"
    fi
    give "$DIR/kafka" "$RUN"/kafka*.properties
    detached kafka beside java -Xms256m -Xmx512m -XX:+ExitOnOutOfMemoryError -cp '/mnt/jars/lib/*' \
        -Dlog4j2.configurationFile=/mnt/run/kafka-log4j2.properties kafka.Kafka /mnt/run/kafka.properties
    await kafka 120 grep -q 'Kafka Server started' "$RUN/kafka.log"
}

begin_mongodb() {
    cp "$HERE/mongodb.js" "$RUN/mongodb.js"
    mkdir -p "$DIR/mongodb"
    rm -rf "$DIR"/tmp/embedded-mongodb-* # sockets that a SIGKILL left behind
    give "$DIR/mongodb" "$RUN/mongodb.js"
    detached mongodb inside node /servers/run/mongodb.js /opt/mongodb /servers/mongodb "$MONGODB_PORT"
    await mongodb 60 grep -q 'MongoDB is ready' "$RUN/mongodb.log"
}

# Its data is in Kafka. Runs with the jars of Connect in the place of Kafka's.
begin_connect() {
    local KAFKA=$CONNECT
    sed -e "s/@PORT@/$CONNECT_PORT/; s/@BROKERS@/${CONNECT_BROKERS:-127.0.0.1:$KAFKA_PORT}/; s/@GROUP@/${CONNECT_GROUP:-connect}/" \
        "$HERE/connect.properties" >"$RUN/connect.properties"
    cp "$HERE/connect-log4j2.properties" "$RUN/"
    give "$RUN"/connect*.properties
    DEBEZIUM_USER="${DEBEZIUM_USER:-root}" DEBEZIUM_PASSWORD="${DEBEZIUM_PASSWORD:-$(mysql_password)}" \
        detached connect beside java -Xms256m -Xmx512m -XX:+ExitOnOutOfMemoryError -cp '/mnt/jars/worker/*' \
        -Dlog4j2.configurationFile=/mnt/run/connect-log4j2.properties org.apache.kafka.connect.cli.ConnectDistributed \
        /mnt/run/connect.properties
    await connect 180 grep -q 'Kafka Connect started' "$RUN/connect.log"
}

start() { # NAME
    local name=$1 port
    port="$(port_of "$name")"
    if pid_of "$name" >/dev/null; then return; fi
    "install_$name"
    if listening "$port"; then
        die "starting $name" "port $port is taken by another program; choose one with ${name^^}_PORT"
    fi
    say "starting $name on port $port"
    make_account
    mkdir -p "$DIR/tmp" "$DIR/jars"
    give "$DIR/tmp"
    [[ ! -d $DIR/tls ]] || give "$DIR/tls"
    "begin_$name"
}

print_env() { # NAME
    case $1 in
        mysql) echo "export MYSQL_URL='mysql://root:$(mysql_password)@127.0.0.1:$MYSQL_PORT'" ;;
        kafka) echo "export KAFKA_BROKERS='127.0.0.1:$KAFKA_PORT'" ;;
        connect) echo "export CONNECT_URL='http://127.0.0.1:$CONNECT_PORT'" ;;
        mongodb) echo "export MONGODB_URL='mongodb://127.0.0.1:$MONGODB_PORT/?directConnection=true'" ;;
    esac
}

status() {
    local name pid size result=0
    printf '%-8s %-8s %8s %6s %8s  %s\n' server state pid port data log
    for name in "$@"; do
        size="$(du -sh "$DIR/$name" 2>/dev/null | cut -f1 || true)"
        if pid="$(pid_of "$name")"; then
            printf '%-8s %-8s %8s %6s %8s  %s\n' "$name" running "$pid" "$(port_of "$name")" "${size:--}" "$RUN/$name.log"
        else
            printf '%-8s %-8s %8s %6s %8s  %s\n' "$name" stopped - "$(port_of "$name")" "${size:--}" "$RUN/$name.log"
            result=3
        fi
    done
    return $result
}

# --- commands --------------------------------------------------------------------------------------------------------

[[ $# -ge 1 ]] || usage
COMMAND=$1
shift

if [[ $COMMAND == mysql-client ]]; then
    settings
    mysql_tool mysql "$@"
    exit
fi

case $COMMAND in
    kafka-acls) TOOL=org.apache.kafka.tools.AclCommand ;;
    kafka-configs) TOOL=kafka.admin.ConfigCommand ;;
esac
[[ -z ${TOOL:-} ]] || exec java -cp "$KAFKA/lib/*" "-Dlog4j2.configurationFile=$HERE/kafka-log4j2.properties" "$TOOL" "$@"

if [[ $COMMAND == connect-jars ]]; then
    install_connect
    echo "$CONNECT"
    exit
fi

NAMES=("$@")
if ((${#NAMES[@]} == 0)); then
    NAMES=("${ALL[@]}")
    if [[ $COMMAND == down || $COMMAND == stop || $COMMAND == kill ]]; then NAMES=(connect "${ALL[@]}"); fi
fi
for name in "${NAMES[@]}"; do
    [[ " ${KNOWN[*]} " == *" $name "* ]] || usage
done

case $COMMAND in
    up | start | down | stop | kill | reset)
        # One command at a time for one folder. `spawn` closes the lock for servers.
        mkdir -p "$RUN"
        exec 9>"$RUN/lock"
        flock 9
        ;;
esac
settings

case $COMMAND in
    up | start) ;;
    down | stop) for name in "${NAMES[@]}"; do end "$name" TERM; done ;;
    kill) for name in "${NAMES[@]}"; do end "$name" KILL; done ;;
    reset)
        for name in "${NAMES[@]}"; do end "$name" TERM; done
        for name in "${NAMES[@]}"; do rm -rf --one-file-system "${DIR:?}/$name"; done
        ;;
    env) for name in "${NAMES[@]}"; do print_env "$name"; done ;;
    status) status "${NAMES[@]}" ;;
    *) usage ;;
esac

case $COMMAND in
    up | start | reset)
        # Fetching comes first, because it takes longest and can fail.
        for name in "${NAMES[@]}"; do "install_$name"; done
        remember_ports "${NAMES[@]}"
        for name in "${NAMES[@]}"; do start "$name"; done
        for name in "${NAMES[@]}"; do print_env "$name"; done
        ;;
esac
