#!/usr/bin/env bash
# Builds and runs benchmarks on real servers: deploy/benchmarks/run.sh NAME... [--short] [--json FILE] [--guard]
#
# Servers: see deploy/servers/with.sh. BENCHMARKS_PROFILE names another profile of cargo than that of the images, `dist`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

PROFILE="${BENCHMARKS_PROFILE:-dist}"
cargo build --profile "$PROFILE" --workspace --bin benchmarks --bin command-service --bin query-service --locked
export BENCHMARKS_BINARIES="${CARGO_TARGET_DIR:-$PWD/target}/$PROFILE"
exec deploy/servers/with.sh "$BENCHMARKS_BINARIES/benchmarks" "$@"
