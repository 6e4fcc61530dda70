#!/usr/bin/env bash
# Builds and runs benchmarks on real servers: deploy/benchmarks/run.sh NAME... [--short] [--json FILE] [--guard]
#
# Servers: those named by MYSQL_URL, KAFKA_BROKERS and MONGODB_URL where all three are set, else deploy/servers/servers.sh.
# What this starts it ends, also after a failure or Ctrl-C.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
SERVERS=deploy/servers/servers.sh
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

cargo build --release --workspace --bins --locked
export BENCHMARKS_BINARIES="${CARGO_TARGET_DIR:-$PWD/target}/release"

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
"$BENCHMARKS_BINARIES/benchmarks" "$@" &
RUNNING=$!
status=0
wait "$RUNNING" || status=$?
RUNNING=""
exit "$status"
