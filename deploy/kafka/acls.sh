#!/usr/bin/env bash
# Grants both services the rights that they need in Kafka: acls.sh BROKERS ADMIN_PROPERTIES
#
# ADMIN_PROPERTIES is the administrator's client configuration (kafka-acls.sh --command-config). The services' users are
# `command-service` and `query-service`. The broker needs an authorizer that denies by default. KAFKA_TOPIC and KAFKA_GROUP
# are the services' settings, and so is KAFKA_NOTICES_TOPIC, if query-service writes notices. KAFKA_ACLS names the tool if it is
# not kafka-acls.sh on the path. Can run again.
set -euo pipefail
[[ $# -eq 2 ]] || { sed -n '2,/^set/s/^# //p' "$0" >&2; exit 2; }
read -r -a TOOL <<<"${KAFKA_ACLS:-kafka-acls.sh}"
TOPIC="${KAFKA_TOPIC:-reservations.events}"
GROUP="${KAFKA_GROUP:-query-service}"
BROKERS=$1 ADMIN=$2

allow() { # USER RESOURCE... OPERATIONS...
    "${TOOL[@]}" --bootstrap-server "$BROKERS" --command-config "$ADMIN" --add --allow-principal "User:$1" "${@:2}"
}

# Creates the topic if it is missing, and writes to it.
allow command-service --topic "$TOPIC" --operation Create --operation Describe --operation Write
# In the mode `log` it notes the last relayed event: as an offset of this group, which Kafka takes from readers alone.
allow command-service --topic "$TOPIC" --operation Read
allow command-service --group "$TOPIC-relay" --operation Read
allow query-service --topic "$TOPIC" --operation Describe --operation Read
# Each generation of read models has its own group with this prefix, which is deleted with the generation. The group of
# notifications has it too.
allow query-service --group "$GROUP" --resource-pattern-type prefixed \
    --operation Describe --operation Read --operation Delete

# Creates the topic of notices if it is missing, reads it at the start of a partition, and writes to it in transactions.
if [[ -n ${KAFKA_NOTICES_TOPIC:-} ]]; then
    allow query-service --topic "$KAFKA_NOTICES_TOPIC" \
        --operation Create --operation Describe --operation Read --operation Write
    allow query-service --transactional-id "$GROUP" --resource-pattern-type prefixed \
        --operation Describe --operation Write
fi
