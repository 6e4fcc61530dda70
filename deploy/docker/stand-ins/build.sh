#!/usr/bin/env bash
# Builds stand-ins for images that a machine can't pull: stand-ins/build.sh NAME...
#
# NAME is debian, rust, mysql, kafka, mongo or prometheus. The image is stand-in/NAME with the label `stand-in.for`; prove.sh
# also gives it the original's name.
#
# Needs Docker, root, debootstrap, rustc, and the requirements of deploy/servers/servers.sh, whose programs it packs.
set -euo pipefail
HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
SERVERS="$HERE/../../servers"

say() { echo "stand-ins: $*" >&2; }
die() { # STEP WHY [LOG]
    say "FAILED while $1: $2"
    if [[ -n ${3:-} ]]; then tail -n 25 "$3" >&2; fi
    exit 1
}

# Functions that fetch the servers' programs (install_debian ...), and their folders $DEBIAN, $KAFKA and $MONGODB.
# shellcheck source=deploy/servers/install.sh
source "$SERVERS/install.sh"

WORK="$(mktemp -d -p "${TMPDIR:-/tmp}" stand-ins.XXXXXX)"
trap 'rm -rf --one-file-system "$WORK"' EXIT

import() { # NAME FOLDER: makes an image of one layer from a tree
    tar -C "$2" --one-file-system -c . | docker import --change "LABEL stand-in.for=$1" - "stand-in/$1" >/dev/null
}

image() { # NAME: builds NAME.Dockerfile with the context
    docker build --quiet --label "stand-in.for=$1" -t "stand-in/$1" -f "$HERE/$1.Dockerfile" "$CONTEXT" >/dev/null
}

needs() { # NAME: builds the stand-in if it is missing
    docker image inspect "stand-in/$1" >/dev/null 2>&1 || build "$1"
}

stand_in_debian() {
    install_debootstrap
    # debootstrap mounts /proc below its target. In a mount namespace of its own, the mount ends with it.
    unshare --mount debootstrap --variant=minbase bookworm "$CONTEXT/tree" >"$CONTEXT/log" 2>&1 ||
        die "making a Debian tree" "debootstrap failed" "$CONTEXT/log"
    rm -rf "$CONTEXT/tree"/var/cache/apt/archives/*.deb "$CONTEXT/tree"/var/lib/apt/lists/* \
        "$CONTEXT/tree"/usr/share/{doc,man,locale}/*
    import debian "$CONTEXT/tree"
}

stand_in_sid() {
    install_debian
    import sid "$DEBIAN"
}

stand_in_rust() {
    local toolchain
    needs debian
    toolchain="$(rustc --print sysroot)"
    mkdir "$CONTEXT/toolchain"
    cp -a "$toolchain/bin" "$toolchain/lib" "$CONTEXT/toolchain/"
    cp /etc/ssl/certs/ca-certificates.crt "$CONTEXT/"
    image rust
}

stand_in_mysql() {
    needs sid
    cp "$HERE/mysql-entrypoint.sh" "$CONTEXT/"
    image mysql
}

stand_in_kafka() {
    needs debian
    install_kafka
    cp -r "$KAFKA/lib" "$SERVERS/kafka-log4j2.properties" "$HERE"/kafka-*.sh "$CONTEXT/"
    image kafka
}

stand_in_mongo() {
    needs sid
    install_mongodb
    cp -r "$MONGODB/node_modules" "$SERVERS/mongodb.js" "$HERE/mongosh" "$HERE/mongo-entrypoint.sh" "$CONTEXT/"
    image mongo
}

stand_in_prometheus() {
    needs debian
    image prometheus
}

build() { # NAME: with its own context, which stand_in_NAME fills
    local CONTEXT
    CONTEXT="$(mktemp -d -p "$WORK")"
    say "building stand-in/$1"
    "stand_in_$1"
}

for name in "$@"; do build "$name"; done
