#!/usr/bin/env bash
# Receives mails of the embedded default over TLS with Python's SMTP server, and reads them with Python's iCalendar library:
# deploy/probe/mails.sh
#
# Needs Python 3.10.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source deploy/probe/environment.sh

PYTHON="$(environment mails-2 aiosmtpd==1.4.6 icalendar==6.3.1 trustme==1.2.1)/bin/python"
cargo build --package standalone --locked
exec "$PYTHON" deploy/probe/mails.py "${CARGO_TARGET_DIR:-$PWD/target}/debug/standalone"
