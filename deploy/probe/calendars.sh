#!/usr/bin/env bash
# Reads calendars of the embedded default with Python's `icalendar`, and uploads one to Radicale: deploy/probe/calendars.sh
#
# Needs Python 3.10.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ICALENDAR_VERSION=7.3.2
RADICALE_VERSION=3.9.0
source deploy/probe/environment.sh

PYTHON="$(environment "calendars-$ICALENDAR_VERSION-$RADICALE_VERSION" \
    "icalendar==$ICALENDAR_VERSION" "radicale==$RADICALE_VERSION")/bin/python"
cargo build --package standalone --locked
exec "$PYTHON" deploy/probe/calendars.py "${CARGO_TARGET_DIR:-$PWD/target}/debug/standalone"
