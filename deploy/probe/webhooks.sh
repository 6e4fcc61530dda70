#!/usr/bin/env bash
# Receives webhooks of the embedded default with the public library of Standard Webhooks for Python: deploy/probe/webhooks.sh
#
# Needs Python 3.10.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
VERSION=1.1.0

source deploy/probe/environment.sh

PYTHON="$(environment "standardwebhooks-$VERSION" "standardwebhooks==$VERSION")/bin/python"
cargo build --package standalone --locked
exec "$PYTHON" deploy/probe/webhooks.py "${CARGO_TARGET_DIR:-$PWD/target}/debug/standalone"
