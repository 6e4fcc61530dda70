#!/usr/bin/env bash
# Builds images that stand in for those that a machine can't pull: stand-ins/build.sh NAME...
#
# For each NAME of debian, rust, mysql, kafka, mongo and prometheus it makes an image stand-in/NAME, with the label
# `stand-in.for`. None takes the name of an original here: prove.sh does that, where the original is missing.
#
# Needs Docker, root, debootstrap, rustc, and what deploy/servers/servers.sh needs: it packs the same programs.
set -euo pipefail
HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
SERVERS="$HERE/../../servers"

say() { echo "stand-ins: $*" >&2; }
die() { # STEP WHY [LOG]
    say "FAILED while $1: $2"
    if [[ -n ${3:-} ]]; then tail -n 25 "$3" >&2; fi
    exit 1
}

# Fetches the servers' programs: install_debian and its like, and the folders $DEBIAN, $KAFKA and $MONGODB.
# shellcheck source=deploy/servers/install.sh
source "$SERVERS/install.sh"

WORK="$(mktemp -d -p "${TMPDIR:-/tmp}" stand-ins.XXXXXX)"
trap 'rm -rf --one-file-system "$WORK"' EXIT

import() { # NAME FOLDER: a tree as an image of one layer
    tar -C "$2" --one-file-system -c . | docker import --change "LABEL stand-in.for=$1" - "stand-in/$1" >/dev/null
}

image() { # NAME: from NAME.Dockerfile and the context
    docker build --quiet --label "stand-in.for=$1" -t "stand-in/$1" -f "$HERE/$1.Dockerfile" "$CONTEXT" >/dev/null
}

needs() { # NAME: another stand-in that one is made from
    docker image inspect "stand-in/$1" >/dev/null 2>&1 || build "$1"
}

stand_in_debian() {
    install_debootstrap
    # debootstrap mounts /proc below its target: in a mount namespace of its own that is gone when it ends.
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

build() { # NAME: with a context of its own, which the function above fills
    local CONTEXT
    CONTEXT="$(mktemp -d -p "$WORK")"
    say "building stand-in/$1"
    "stand_in_$1"
}

for name in "$@"; do build "$name"; done
