#!/usr/bin/env bash
# Tests the page in Chromium: deploy/page-tests/run.sh [arguments for playwright test]
#
# Needs Node and Chromium (`apt-get install nodejs npm chromium`), which this installs where it may and they are missing.
# CHROMIUM names another browser, STANDALONE a built program beside `system-tests`. Uses the embedded default, and real servers too
# where MYSQL_URL, KAFKA_BROKERS and MONGODB_URL name them.
# FROM_SOURCES=1 serves the page's files as they are, without a build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# shellcheck source=deploy/page-tests/prepare.sh
. ./prepare.sh browser
npm run --silent check

if [[ -z ${STANDALONE:-} ]]; then
    # shellcheck source=deploy/compiling.sh
    . ../compiling.sh
    # With the tests, so that the features are those of test.sh and nothing compiles twice.
    cargo build --workspace --bins --tests --locked
    export STANDALONE="${CARGO_TARGET_DIR:-$PWD/../../target}/debug/standalone"
fi
npx playwright test "$@"
