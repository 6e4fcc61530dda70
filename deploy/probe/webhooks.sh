#!/usr/bin/env bash
# Receives webhooks of the embedded default with the public library of Standard Webhooks for Python: deploy/probe/webhooks.sh
#
# Needs Python 3.10.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
VERSION=1.1.0

# Prints the path of Python with the library. Installs it once: a mark makes the folder complete.
python() {
    local folder="${XDG_CACHE_HOME:-$HOME/.cache}/room-reservations/standardwebhooks-$VERSION"
    if [[ ! -f $folder/complete ]]; then
        rm -rf "$folder"
        python3 -m venv "$folder" >&2
        "$folder/bin/pip" install --quiet "standardwebhooks==$VERSION" >&2
        touch "$folder/complete"
    fi
    echo "$folder/bin/python"
}

PYTHON="$(python)"
cargo build --package standalone --locked
exec "$PYTHON" deploy/probe/webhooks.py "${CARGO_TARGET_DIR:-$PWD/target}/debug/standalone"
