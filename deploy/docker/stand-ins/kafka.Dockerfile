# Stand-in for `apache/kafka`: Kafka from its jars, with the variables and paths that docker-compose.yml uses. The context has
# `lib/`, the jars of deploy/servers/.
FROM stand-in/debian
RUN apt-get update -qq \
    && mkdir -p /usr/share/man/man1 \
    && apt-get install -y -qq --no-install-recommends kcat openjdk-17-jre-headless >/dev/null \
    && rm -rf /var/lib/apt/lists \
    && useradd --uid 1000 --no-create-home appuser \
    && install -d -o appuser -g appuser /var/lib/kafka/data /opt/kafka/config
COPY lib /opt/kafka/libs
COPY kafka-log4j2.properties /opt/kafka/config/log4j2.properties
COPY kafka-run.sh /etc/kafka/docker/run
COPY kafka-broker-api-versions.sh /opt/kafka/bin/
USER appuser
VOLUME /var/lib/kafka/data
EXPOSE 9092
CMD ["/etc/kafka/docker/run"]
