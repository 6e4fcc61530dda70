#!/usr/bin/env bash
# The part of the original's start script that docker-compose.yml uses: KAFKA_A_B sets the property a.b, and a new log folder
# is formatted.
set -euo pipefail
PROPERTIES=/opt/kafka/config/server.properties
while IFS='=' read -r name value; do
    case $name in
        KAFKA_HEAP_OPTS | KAFKA_OPTS | KAFKA_LOG4J_*) ;;
        KAFKA_*)
            name="${name#KAFKA_}"
            name="${name,,}"
            echo "${name//_/.}=$value"
            ;;
    esac
done < <(env) >"$PROPERTIES"

kafka() { # CLASS ARGUMENTS...
    # shellcheck disable=SC2086 # options of the JVM are words
    exec java ${KAFKA_HEAP_OPTS:-} ${KAFKA_OPTS:-} -cp '/opt/kafka/libs/*' \
        -Dlog4j2.configurationFile=/opt/kafka/config/log4j2.properties "$@"
}
(kafka kafka.tools.StorageTool format --ignore-formatted \
    -t "${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}" -c "$PROPERTIES")
kafka kafka.Kafka "$PROPERTIES"
