#!/usr/bin/env bash
# Sends both services what their OpenAPI documents allow, and what they don't, and checks every answer against them, with
# all checks of Schemathesis: deploy/probe/openapi.sh [--seed N] [--cases N]
#
# --cases is how many random cases each operation gets at most (100); those of the other phases come on top. 700 make more
# than 20,000 in all. Servers: those named by MYSQL_URL, KAFKA_BROKERS and MONGODB_URL where all three are set, else
# deploy/servers/servers.sh. What this starts it ends, also after a failure or Ctrl-C. Needs Python 3.10.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
SERVERS=deploy/servers/servers.sh
SCHEMATHESIS_VERSION=4.32.5
STARTED=()
RUNNING=""

# shellcheck disable=SC2317 # the trap calls it
cleanup() {
    trap - EXIT
    if [[ -n $RUNNING ]] && kill -TERM "$RUNNING" 2>/dev/null; then wait "$RUNNING" || true; fi
    if ((${#STARTED[@]})); then "$SERVERS" down "${STARTED[@]}"; fi
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Prints the path of Schemathesis. Installed once and kept: the mark says that a folder is complete.
schemathesis() {
    local folder="${XDG_CACHE_HOME:-$HOME/.cache}/room-reservations/schemathesis-$SCHEMATHESIS_VERSION"
    if [[ ! -f $folder/complete ]]; then
        rm -rf "$folder"
        python3 -m venv "$folder" >&2
        "$folder/bin/pip" install --quiet "schemathesis==$SCHEMATHESIS_VERSION" >&2
        touch "$folder/complete"
    fi
    echo "$folder/bin/schemathesis"
}

SCHEMATHESIS="$(schemathesis)"
cargo build --workspace --bins --locked
export SYSTEM_TESTS_BINARIES="${CARGO_TARGET_DIR:-$PWD/target}/debug"

if [[ -z ${MYSQL_URL:-} || -z ${KAFKA_BROKERS:-} || -z ${MONGODB_URL:-} ]]; then
    for name in mysql kafka mongodb; do
        if "$SERVERS" status "$name" >/dev/null 2>&1; then continue; fi
        STARTED+=("$name")
        # Any free port: another set of servers may have the usual one.
        port="${name^^}_PORT"
        if [[ -z ${!port:-} ]]; then export "$port=0"; fi
    done
    variables="$("$SERVERS" up)"
    eval "$variables"
fi

# In the background, so that a signal reaches it at once: it then ends the services that it started.
"$SYSTEM_TESTS_BINARIES/system-tests" openapi --schemathesis "$SCHEMATHESIS" "$@" &
RUNNING=$!
status=0
wait "$RUNNING" || status=$?
RUNNING=""
exit "$status"
