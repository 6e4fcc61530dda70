#!/usr/bin/env bash
# Runs the tests on real servers, and those of the page: deploy/test.sh [arguments for cargo test]
#
# Uses the servers of MYSQL_URL, KAFKA_BROKERS and MONGODB_URL if all three are set, else containers if Docker runs, else
# deploy/servers/servers.sh. Stops the servers that it started, also after a failure or Ctrl-C. Prints WARNING, if set, right
# before the summary.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
SERVERS=deploy/servers/servers.sh

say() { echo "test.sh: $*" >&2; }

# --- cleanup ----------------------------------------------------------------------------------------------------------
GROUP=""        # process group of cargo
STARTED=()      # servers that this started with servers.sh
COMPOSE=()      # the compose command, if this started containers
SUMMARY="$(mktemp)"

# shellcheck disable=SC2317 # the trap calls it
cleanup() {
    trap - EXIT
    trap '' INT TERM HUP
    if [[ -n $GROUP ]] && kill -TERM -- "-$GROUP" 2>/dev/null; then
        for _ in {1..100}; do
            kill -0 -- "-$GROUP" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL -- "-$GROUP" 2>/dev/null || true
    fi
    end_servers
    rm -f "$SUMMARY"
}

end_servers() {
    local private
    # Private servers of killed tests.
    for private in .servers/private/*/; do
        [[ -d $private ]] || continue
        SERVERS_DIR="$PWD/${private%/}" "$SERVERS" down && rm -rf --one-file-system "$private"
    done
    if ((${#STARTED[@]})); then "$SERVERS" down "${STARTED[@]}"; fi
    if ((${#COMPOSE[@]})); then "${COMPOSE[@]}" down --volumes --timeout 20 >&2; fi
    STARTED=()
    COMPOSE=()
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Runs a command in its own process group (by job control), so that cleanup can end all of it.
grouped() {
    local status=0
    set -m
    "$@" </dev/null &
    GROUP=$!
    set +m
    wait "$GROUP" || status=$?
    GROUP=""
    return "$status"
}

# --- servers ----------------------------------------------------------------------------------------------------------
listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The usual port, or the next free pair of ports (Kafka needs two).
free_port() {
    local port=$1
    while listening "$port" || listening $((port + 1)); do port=$((port + 10)); done
    echo "$port"
}

start_containers() {
    MYSQL_PORT="$(free_port "${MYSQL_PORT:-13306}")"
    KAFKA_PORT="$(free_port "${KAFKA_PORT:-19092}")"
    MONGODB_PORT="$(free_port "${MONGODB_PORT:-17017}")"
    export MYSQL_PORT KAFKA_PORT MONGODB_PORT
    COMPOSE=(docker compose --project-name "room-reservations-test-$(cksum <<<"$PWD" | cut -d' ' -f1)")
    "${COMPOSE[@]}" up --detach --wait --wait-timeout 300 mysql kafka mongodb >&2
    export MYSQL_URL="mysql://root:development@127.0.0.1:$MYSQL_PORT"
    export KAFKA_BROKERS="127.0.0.1:$KAFKA_PORT"
    export MONGODB_URL="mongodb://root:development@127.0.0.1:$MONGODB_PORT/?authSource=admin&directConnection=true"
}

start_natively() {
    local name port variables
    for name in mysql kafka mongodb; do
        if "$SERVERS" status "$name" >/dev/null 2>&1; then continue; fi
        STARTED+=("$name")
        port="${name^^}_PORT"
        if [[ -z ${!port:-} ]]; then
            case $name in
                mysql) MYSQL_PORT="$(free_port 13306)" ;;
                kafka) KAFKA_PORT="$(free_port 19092)" ;;
                mongodb) MONGODB_PORT="$(free_port 17017)" ;;
            esac
        fi
        export "${port?}"
    done
    variables="$("$SERVERS" up)"
    eval "$variables"
}

start_servers() {
    if [[ -n ${MYSQL_URL:-} && -n ${KAFKA_BROKERS:-} && -n ${MONGODB_URL:-} ]]; then
        say "using the servers that the environment names"
    elif docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; then
        say "starting servers in containers"
        start_containers
    else
        say "starting servers with $SERVERS"
        start_natively
    fi
}

# --- tests ------------------------------------------------------------------------------------------------------------
ARGUMENTS=(--locked)
SCOPE=(--workspace)
for argument in "$@"; do
    case $argument in
        --) break ;;
        -p* | --package | --package=* | --workspace | --manifest-path*) SCOPE=() ;;
    esac
done
ARGUMENTS+=("${SCOPE[@]}" --no-fail-fast)

# shellcheck source=deploy/compiling.sh
. deploy/compiling.sh
# Build before starting servers: the compiler would slow their start.
BUILD=()
for argument in "$@"; do
    [[ $argument != -- ]] || break
    BUILD+=("$argument")
done
grouped cargo test "${ARGUMENTS[@]}" --no-run "${BUILD[@]}"

start_servers

STATUS=0
# shellcheck disable=SC2016 # the inner bash expands them
grouped bash -c 'set -o pipefail; summary=$1; shift; cargo test "$@" 2>&1 | tee "$summary"' test \
    "$SUMMARY" "${ARGUMENTS[@]}" "$@" || STATUS=$?

# The page, unless other tests were asked for.
if (($# == 0)); then grouped deploy/page-tests/run.sh || STATUS=$?; fi

# Before the summary, which comes last.
end_servers

[[ -z ${WARNING:-} ]] || printf '\n%s\n' "$WARNING"
echo
echo "Summary"
grep -E '^ +(Running|Doc-tests) |^test result: |^test .* \.\.\. FAILED$' "$SUMMARY" || echo "cargo test ran nothing"
awk '/^test result: / { passed += $4; failed += $6; skipped += $8 }
     END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped }' "$SUMMARY"
exit "$STATUS"
