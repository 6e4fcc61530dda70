#!/bin/sh
# kafka-broker-api-versions.sh --bootstrap-server ADDRESS: whether that broker answers, asked by another client.
exec kcat -L -m 5 -b "$2"
