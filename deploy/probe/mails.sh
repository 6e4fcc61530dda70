#!/usr/bin/env bash
# Receives mails of the embedded default with Python's SMTP server, and reads them with Python's iCalendar library:
# deploy/probe/mails.sh
#
# Needs Python 3.10.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
PACKAGES=(aiosmtpd==1.4.6 icalendar==6.3.1)

# Prints the path of Python with the libraries. Installs them once: a mark makes the folder complete.
python() {
    local folder="${XDG_CACHE_HOME:-$HOME/.cache}/room-reservations/mails-1"
    if [[ ! -f $folder/complete ]]; then
        rm -rf "$folder"
        python3 -m venv "$folder" >&2
        "$folder/bin/pip" install --quiet "${PACKAGES[@]}" >&2
        touch "$folder/complete"
    fi
    echo "$folder/bin/python"
}

PYTHON="$(python)"
cargo build --package standalone --locked
exec "$PYTHON" deploy/probe/mails.py "${CARGO_TARGET_DIR:-$PWD/target}/debug/standalone"
