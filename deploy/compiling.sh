# shellcheck shell=bash
# How the scripts compile for checks and tests, so that what one has built serves the next. To be sourced.

# What makes a second build quicker makes the first one slower.
export CARGO_INCREMENTAL=0

# The Kafka client's OpenSSL takes a third of the processor time of all. The system's serves the tests as well.
if pkg-config --atleast-version=3.0 openssl 2>/dev/null; then
    export OPENSSL_NO_VENDOR=1
fi
