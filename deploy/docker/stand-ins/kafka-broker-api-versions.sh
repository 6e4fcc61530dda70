#!/bin/sh
# kafka-broker-api-versions.sh --bootstrap-server ADDRESS: succeeds if the broker answers kcat.
exec kcat -L -m 5 -b "$2"
