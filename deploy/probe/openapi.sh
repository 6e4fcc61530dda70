#!/usr/bin/env bash
# Sends both services valid and invalid requests made from their OpenAPI documents, and checks the answers with all checks of
# Schemathesis: deploy/probe/openapi.sh [--seed N] [--cases N]
#
# --cases is the most random cases for each operation (100), without those of other phases. 700 make more than 20,000 in
# all. Servers: see deploy/servers/with.sh. Needs Python 3.10.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
SCHEMATHESIS_VERSION=4.32.5

source deploy/probe/environment.sh

SCHEMATHESIS="$(environment "schemathesis-$SCHEMATHESIS_VERSION" "schemathesis==$SCHEMATHESIS_VERSION")/bin/schemathesis"
cargo build --workspace --bins --locked
export SYSTEM_TESTS_BINARIES="${CARGO_TARGET_DIR:-$PWD/target}/debug"
exec deploy/servers/with.sh "$SYSTEM_TESTS_BINARIES/system-tests" openapi --schemathesis "$SCHEMATHESIS" "$@"
