#!/usr/bin/env bash
# Runs a command on real servers: deploy/servers/with.sh COMMAND [ARGUMENT]...
#
# Uses the servers of MYSQL_URL, KAFKA_BROKERS and MONGODB_URL if all three are set. Else starts those of servers.sh, sets
# these variables for the command, and stops them at the end, also after a failure or Ctrl-C.
set -euo pipefail
SERVERS="$(dirname "${BASH_SOURCE[0]}")/servers.sh"
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

if [[ -z ${MYSQL_URL:-} || -z ${KAFKA_BROKERS:-} || -z ${MONGODB_URL:-} ]]; then
    for name in mysql kafka mongodb; do
        if "$SERVERS" status "$name" >/dev/null 2>&1; then continue; fi
        STARTED+=("$name")
        # Any free port, because another set of servers may have the usual one.
        port="${name^^}_PORT"
        if [[ -z ${!port:-} ]]; then export "$port=0"; fi
    done
    variables="$("$SERVERS" up)"
    eval "$variables"
fi

# In the background: the shell handles a signal at once, and the trap ends the command.
"$@" &
RUNNING=$!
status=0
wait "$RUNNING" || status=$?
RUNNING=""
exit "$status"
