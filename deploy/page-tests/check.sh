#!/usr/bin/env bash
# Checks the page's sources: types, format, rules, and that vendored files are those of their packages.
#
# Needs Node: `apt-get install nodejs npm`, which this does where it may and they are missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# shellcheck source=deploy/page-tests/prepare.sh
. ./prepare.sh
npm run --silent check
