#!/usr/bin/env bash
# Builds and runs benchmarks on real servers: deploy/benchmarks/run.sh NAME... [--short] [--json FILE] [--guard]
#
# Servers: see deploy/servers/with.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# The same profile as the images.
cargo build --profile dist --workspace --bin benchmarks --bin command-service --bin query-service --locked
export BENCHMARKS_BINARIES="${CARGO_TARGET_DIR:-$PWD/target}/dist"
exec deploy/servers/with.sh "$BENCHMARKS_BINARIES/benchmarks" "$@"
