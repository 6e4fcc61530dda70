#!/usr/bin/env bash
# Gives both services their rights in Kafka, and no others: acls.sh BROKERS ADMIN_PROPERTIES
#
# ADMIN_PROPERTIES is a file with how an administrator connects (kafka-acls.sh --command-config). The services' users are
# `command-service` and `query-service`; the broker has an authorizer, and gives nobody what is not given here. KAFKA_TOPIC
# and KAFKA_GROUP are the services' settings of these names, KAFKA_ACLS the tool, which is on the path otherwise. May be run again.
set -euo pipefail
[[ $# -eq 2 ]] || { sed -n '2,/^set/s/^# //p' "$0" >&2; exit 2; }
read -r -a TOOL <<<"${KAFKA_ACLS:-kafka-acls.sh}"
TOPIC="${KAFKA_TOPIC:-reservations.events}"
GROUP="${KAFKA_GROUP:-query-service}"
BROKERS=$1 ADMIN=$2

allow() { # USER RESOURCE... OPERATIONS...
    "${TOOL[@]}" --bootstrap-server "$BROKERS" --command-config "$ADMIN" --add --allow-principal "User:$1" "${@:2}"
}

# It makes the topic where there is none, and writes to it; it reads nothing.
allow command-service --topic "$TOPIC" --operation Create --operation Describe --operation Write
allow query-service --topic "$TOPIC" --operation Describe --operation Read
# Each generation of read models has a group of its own, whose name begins with this; it goes with its generation.
allow query-service --group "$GROUP" --resource-pattern-type prefixed \
    --operation Describe --operation Read --operation Delete
