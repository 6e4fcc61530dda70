#!/usr/bin/env bash
# Builds and runs benchmarks on real servers: deploy/benchmarks/run.sh NAME... [--short] [--json FILE] [--guard]
#
# Servers: as deploy/servers/with.sh finds them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# The profile of the images.
cargo build --profile dist --workspace --bin benchmarks --bin command-service --bin query-service --locked
export BENCHMARKS_BINARIES="${CARGO_TARGET_DIR:-$PWD/target}/dist"
exec deploy/servers/with.sh "$BENCHMARKS_BINARIES/benchmarks" "$@"
