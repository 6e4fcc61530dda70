#!/usr/bin/env bash
# Measures the page in Chromium: deploy/page-tests/measure.sh
#
# Prints its weight, first paint, scripting and shifts of a day with 60 rooms, and Lighthouse's scores, beside what they are held
# to. Takes three minutes; other programs of the machine make the times longer. Needs what run.sh needs. STANDALONE names a built
# program; without it, `cargo build --release` builds the one of `cargo run --release`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# shellcheck source=deploy/page-tests/prepare.sh
. ./prepare.sh browser
if [[ -z ${STANDALONE:-} ]]; then
    cargo build --release --locked
    export STANDALONE="${CARGO_TARGET_DIR:-$PWD/../../target}/release/standalone"
fi
node measure.js
