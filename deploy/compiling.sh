# shellcheck shell=bash
# Common build settings of checks and tests, so that each reuses the artifacts of the others. To be sourced.

# Incremental compilation makes the first build slower.
export CARGO_INCREMENTAL=0

# Compiling OpenSSL for the Kafka client takes a third of the processor time. Tests can use the system's.
if pkg-config --atleast-version=3.0 openssl 2>/dev/null; then
    export OPENSSL_NO_VENDOR=1
fi
