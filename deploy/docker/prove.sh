#!/usr/bin/env bash
# Tests docker-compose.yml end to end. See the usage below.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

usage() {
    cat >&2 <<'END'
usage: deploy/docker/prove.sh [--no-build]

Runs the whole stack end to end under its own project name, ports and volumes:
  - builds and checks both images,
  - starts everything, reserves and queries over HTTP, replays and verifies the demo,
  - checks Prometheus: targets, alerts and the queries of Grafana's dashboard,
  - restarts and kills each container, upgrades both services in place, stops and starts everything.
After each step it finds all earlier reservations. At the end it removes everything but images. Exit status 0: all checks passed.

Pulls no images. Builds a stand-in (deploy/docker/stand-ins/) for each missing image of another project, which has the
original's name until the end. Grafana does not run.

  --no-build   use the existing images of the services

Needs docker with compose, curl and jq; cargo for the demo, unless DEMO is the command for it; root for stand-ins.
END
    exit 2
}

BUILD=true
for argument in "$@"; do
    case $argument in
        --no-build) BUILD=false ;;
        *) usage ;;
    esac
done

SERVICES=(command-service query-service)
SERVERS=(mysql kafka mongodb)
BASE=debian:bookworm-slim
# Bounds: bytes that an image adds to its base, and milliseconds until a service is ready.
MOST_BYTES=60000000
MOST_MILLISECONDS=2000
WORK="$(mktemp -d)"
TAGGED=()

# --- output -----------------------------------------------------------------------------------------------------------
step() { printf '\n=== %s\n' "$*"; }
ok() { echo "  ok: $*"; }
die() {
    echo "  FAILED: $*" >&2
    exit 1
}

# --- Docker -----------------------------------------------------------------------------------------------------------
# Without buildx, use Docker's classic builder.
docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0

free_port() {
    local port
    while port=$((20000 + RANDOM % 10000)); (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
    echo "$port"
}
for name in COMMAND COMMAND_ADMIN QUERY QUERY_ADMIN MYSQL KAFKA MONGODB PROMETHEUS GRAFANA; do
    printf -v "${name}_PORT" '%s' "$(free_port)"
    export "${name}_PORT"
done
COMMANDS="http://127.0.0.1:$COMMAND_PORT"
QUERIES="http://127.0.0.1:$QUERY_PORT"
PROMETHEUS="http://127.0.0.1:$PROMETHEUS_PORT"

COMPOSE=(docker compose --project-name room-reservations-prove --file docker-compose.yml)
# Shows the output only after a failure.
compose() {
    "${COMPOSE[@]}" "$@" >"$WORK/compose.log" 2>&1 || {
        tail -n 30 "$WORK/compose.log" >&2
        "${COMPOSE[@]}" ps --all >&2
        "${COMPOSE[@]}" logs --tail 5 "${SERVICES[@]}" >&2
        die "docker compose $*"
    }
}
up() { compose up --detach --no-build --pull never "$@"; }
# Waits for all containers. `up --wait` fails at the first unhealthy one, and a service is unhealthy while its server is away.
all_well() {
    local states
    for _ in {1..150}; do
        # shellcheck disable=SC2046 # ids are words
        states="$(docker inspect --format '{{.State.Health.Status}}' \
            $("${COMPOSE[@]}" ps --all --quiet "${SERVERS[@]}" "${SERVICES[@]}") | sort --unique)"
        [[ $states != healthy ]] || return 0
        sleep 2
    done
    "${COMPOSE[@]}" ps --all >&2
    die "not all containers become healthy"
}

# shellcheck disable=SC2317 # the trap calls it
cleanup() {
    local status=$?
    trap - EXIT
    trap '' INT TERM HUP
    "${COMPOSE[@]}" --profile monitoring down --volumes --remove-orphans --timeout 20 >"$WORK/down.log" 2>&1 || {
        cat "$WORK/down.log" >&2
        status=1
    }
    for image in "${TAGGED[@]}"; do docker rmi "$image" >/dev/null || status=1; done
    rm -rf "$WORK"
    if ((status == 0)); then printf '\npassed in %d s\n' "$SECONDS"; else printf '\nFAILED\n' >&2; fi
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# --- images -----------------------------------------------------------------------------------------------------------
is_here() { docker image inspect "$1" >/dev/null 2>&1; }

take_stand_in() { # IMAGE NAME
    if is_here "$1"; then
        ok "$1 is here"
        return
    fi
    is_here "stand-in/$2" || deploy/docker/stand-ins/build.sh "$2"
    docker tag "stand-in/$2" "$1"
    TAGGED+=("$1")
    ok "$1 is a STAND-IN"
}

take_images() {
    local image
    step "images of other projects"
    while read -r image; do
        case $image in
            room-reservations/* | grafana/*) ;;
            apache/kafka:*) take_stand_in "$image" kafka ;;
            prom/prometheus:*) take_stand_in "$image" prometheus ;;
            *) take_stand_in "$image" "${image%%:*}" ;;
        esac
    done < <(
        docker compose --profile monitoring config --images
        if [[ $BUILD == true ]]; then sed -n 's/^FROM \([a-z]*:[^ ]*\) .*/\1/p' deploy/docker/Dockerfile; fi
    )
    # The base, for the comparison of sizes.
    is_here "$BASE" || take_stand_in "$BASE" debian
    if [[ " ${TAGGED[*]} " == *" mongo:"* ]]; then COMPOSE+=(--file deploy/docker/stand-ins/mongo.compose.yml); fi
}

build() { # REVISION
    local began=$SECONDS
    [[ $BUILD == true ]] || return 0
    REVISION="$1" compose build "${SERVICES[@]}"
    ok "built in $((SECONDS - began)) s"
}

look_at_image() { # SERVICE
    local image="room-reservations/$1" bytes base label components
    bytes="$(docker image inspect --format '{{.Size}}' "$image")"
    base="$(docker image inspect --format '{{.Size}}' "$BASE")"
    ((bytes - base < MOST_BYTES)) || die "$1 adds $((bytes - base)) bytes to its base, $MOST_BYTES are allowed"
    [[ "$(docker image inspect --format '{{.Config.User}}' "$image")" == 10001:10001 ]] || die "$1 runs as root"
    for label in title description version revision licenses; do
        label="$(docker image inspect --format "{{index .Config.Labels \"org.opencontainers.image.$label\"}}" "$image")"
        [[ -n $label ]] || die "$1 lacks a label"
    done
    components="$(docker run --rm --network none --entrypoint cat "$image" "/usr/share/sbom/$1.cdx.json" |
        jq 'if .bomFormat == "CycloneDX" then .components | length else 0 end')"
    ((components > 100)) || die "the bill of materials of $1 lists $components components"
    ok "$1: $(((bytes - base) / 1000000)) MB and its base, not root, labelled, $components components listed"
}

# --- requests ---------------------------------------------------------------------------------------------------------
# Prints the body, and writes the headers to $WORK/headers. Fails on an unexpected status. Like a client, retries a 503 with
# the same idempotency key, for a minute.
request() { # EXPECTED-STATUS METHOD URL [curl's arguments]
    local expected=$1 method=$2 url=$3 status until=$((SECONDS + 60))
    shift 3
    while true; do
        status="$(curl --silent --show-error --max-time 20 --output "$WORK/body" --dump-header "$WORK/headers" \
            --write-out '%{http_code}' --request "$method" --header "Authorization: Bearer $TOKEN" \
            --header 'Content-Type: application/json' "$@" "$url")" || die "$method $url: no answer"
        if [[ $status != 503 ]] || ((SECONDS > until)); then break; fi
        sleep "$(header retry-after)"
    done
    [[ $status == "$expected" ]] || die "$method $url: $status instead of $expected: $(cat "$WORK/body")"
    cat "$WORK/body"
}
header() { sed -n "s/^$1: \(.*\)\r$/\1/Ip" "$WORK/headers"; }
post() { request "$1" POST "$COMMANDS$2" --header "Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)" --data "$3"; }

DAY=0
RESERVED=()
register_room() {
    ROOM="$(post 201 /v1/rooms "$(jq -n '{name: "Proof", kind: "proof", capacity: 8, timeZone: "Europe/Berlin"}')" | jq -r .room)"
}
# Reserves another day, finds the reservation by its consistency token, and expects a refusal of an overlapping one.
reserve() {
    local from to answer reservation
    DAY=$((DAY + 1))
    from="$(date -u -d "tomorrow 09:00 + $DAY days" +%FT%TZ)"
    to="$(date -u -d "tomorrow 10:00 + $DAY days" +%FT%TZ)"
    answer="$(post 201 "/v1/rooms/$ROOM/reservations" "{\"from\":\"$from\",\"to\":\"$to\",\"people\":2}")"
    reservation="$(jq -r .reservation <<<"$answer")"
    request 200 GET "$QUERIES/v1/reservations/$reservation" --header "Consistency-Token: $(header consistency-token)" \
        --header 'Prefer: wait=10' | jq -e --arg from "$from" '.from == $from' >/dev/null || die "the reservation is another one"
    post 409 "/v1/rooms/$ROOM/reservations" "{\"from\":\"$from\",\"to\":\"$to\",\"people\":2}" |
        jq -e --arg it "$reservation" '.inTheWay.reservation == $it' >/dev/null || die "the refusal does not name the overlapping reservation"
    RESERVED+=("$reservation")
}
everything_is_there() {
    local reservation
    for reservation in "${RESERVED[@]}"; do request 200 GET "$QUERIES/v1/reservations/$reservation" >/dev/null; done
    reserve
    ok "found ${#RESERVED[@]} reservations, the last one new"
}

# The page, and what a browser asks before it sends commands to the other service.
look_at_page() {
    local file
    file="$(request 200 GET "$QUERIES/" | grep -o '/page/[^"]*/main.js' | head -n 1)"
    header content-security-policy | grep -qF "connect-src 'self' $COMMANDS" || die "the page may not ask for commands"
    request 200 GET "$QUERIES$file" >/dev/null
    request 204 OPTIONS "$COMMANDS/v1/rooms" --header "Origin: $QUERIES" --header 'Access-Control-Request-Method: POST' \
        --header 'Access-Control-Request-Headers: authorization, content-type, idempotency-key' >/dev/null
    [[ "$(header access-control-allow-origin)" == "$QUERIES" ]] || die "the command service does not take commands of the page"
    ok "the page is there, and may send commands"
}

# --- the running system -----------------------------------------------------------------------------------------------
container() { "${COMPOSE[@]}" ps --all --quiet "$1"; }

look_at_container() { # SERVICE
    local id capabilities
    id="$(container "$1")"
    capabilities="$(docker exec "$id" sed -n 's/^Cap\(Eff\|Bnd\):\t0*\(.*\)$/\2/p' /proc/1/status)"
    [[ -z ${capabilities//$'\n'/} ]] || die "$1 has capabilities: $capabilities"
    if docker exec "$id" touch /tmp/written 2>/dev/null; then die "$1 can write to its file system"; fi
    ok "$1 has no capabilities and a read-only file system"
}

milliseconds() { date -d "$1" +%s%3N; }
# Measures the time from the start of the process to readiness. The best of three, because others use this machine too.
starts_soon() { # SERVICE URL
    local best=1000000 began took
    for _ in 1 2 3; do
        compose restart "$1"
        for _ in {1..1000}; do
            if curl --silent --fail --max-time 1 --output "$WORK/body" "$2/health/ready"; then break; fi
            sleep 0.02
        done
        took="$(date +%s%3N)"
        began="$(docker inspect --format '{{.State.StartedAt}}' "$(container "$1")")"
        took=$((took - $(milliseconds "$began")))
        ((took >= best)) || best=$took
    done
    ((best < MOST_MILLISECONDS)) || die "$1 is ready after $best ms, $MOST_MILLISECONDS are allowed"
    ok "$1 is ready $best ms after its start"
}

prometheus() { curl --silent --show-error --fail --get "$PROMETHEUS/api/v1/$1" "${@:2}"; }
# shellcheck disable=SC2016 # a variable of Grafana
look_at_prometheus() {
    local up rules asked=0 expression
    for _ in {1..60}; do
        up="$(prometheus query --data-urlencode 'query=sum(up)' | jq -r '.data.result[0].value[1] // 0')"
        [[ $up != "${#SERVICES[@]}" ]] || break
        sleep 1
    done
    [[ $up == "${#SERVICES[@]}" ]] || die "Prometheus reaches $up services"
    rules="$(prometheus rules | jq '[.data.groups[].rules[] | select(.health == "ok")] | length')"
    [[ $rules == "$(grep -c -- '- alert:' deploy/prometheus/alerts.yml)" ]] || die "Prometheus evaluates $rules alerts"
    while read -r expression; do
        # The metric of setbacks exists from the first one on.
        prometheus query --data-urlencode "query=$expression" |
            jq -e --arg it "$expression" '(.data.result | length > 0) or ($it | contains("_setbacks_"))' >/dev/null ||
            die "Prometheus has no answer to a query of the dashboard: $expression"
        asked=$((asked + 1))
    done < <(jq -r '.. | .expr? // empty' deploy/grafana/dashboards/*.json | sed 's/\$__rate_interval/1m/g')
    ok "Prometheus reaches both services, evaluates $rules alerts and answers all $asked queries of the dashboard"
}

# --- steps ------------------------------------------------------------------------------------------------------------
comes_up_from_nothing() {
    local name began demo
    take_images

    step "images of the services"
    build first
    for name in "${SERVICES[@]}"; do look_at_image "$name"; done

    step "up from nothing"
    # Remains of a killed run.
    compose --profile monitoring down --volumes --remove-orphans
    began=$SECONDS
    up --wait --wait-timeout 300
    ok "healthy after $((SECONDS - began)) s"
    TOKEN="$("${COMPOSE[@]}" run --rm -T token --admin --user prover 2>/dev/null)"
    register_room
    reserve
    ok "reserved, queried with the token, and the overlap refused"
    look_at_page
    for name in "${SERVICES[@]}"; do look_at_container "$name"; done

    step "the demo, with Prometheus beside it"
    up --wait --wait-timeout 300 --no-recreate prometheus
    read -r -a demo <<<"${DEMO:-cargo run --release --locked -- demo}"
    TOKEN="$TOKEN" "${demo[@]}" --command-url "$COMMANDS" --query-url "$QUERIES" --verify | sed 's/^/  /'
    look_at_prometheus
}

survives_restarts_and_kills() {
    local name
    step "restart each container"
    for name in "${SERVERS[@]}"; do
        compose restart "$name"
        all_well
        ok "$name was restarted"
        everything_is_there
    done
    starts_soon command-service "$COMMANDS"
    starts_soon query-service "$QUERIES"
    everything_is_there

    step "kill each container"
    for name in "${SERVERS[@]}" "${SERVICES[@]}"; do
        docker kill "$(container "$name")" >/dev/null
        up
        all_well
        ok "$name was killed and came back"
        everything_is_there
    done
}

is_upgraded_and_comes_again() {
    local name image before
    step "upgrade both services in place"
    before=""
    for name in "${SERVICES[@]}"; do before+=" $(docker inspect --format '{{.Image}}' "$(container "$name")")"; done
    build second
    # Without a build, a new label makes the next version.
    if [[ $BUILD == false ]]; then
        for name in "${SERVICES[@]}"; do
            docker build --label upgraded="$(date +%s)" -t "room-reservations/$name" - \
                >"$WORK/build.log" 2>&1 <<<"FROM room-reservations/$name" || die "$(cat "$WORK/build.log")"
        done
    fi
    up
    all_well
    for name in "${SERVICES[@]}"; do
        image="$(docker inspect --format '{{.Image}}' "$(container "$name")")"
        [[ $before != *"$image"* ]] || die "$name still runs the old image"
    done
    ok "both run the new images"
    everything_is_there

    step "down, and up again"
    compose --profile monitoring down --timeout 30
    [[ -z "$("${COMPOSE[@]}" ps --all --quiet)" ]] || die "containers are left"
    up --wait --wait-timeout 300
    everything_is_there
}

comes_up_from_nothing
survives_restarts_and_kills
is_upgraded_and_comes_again
