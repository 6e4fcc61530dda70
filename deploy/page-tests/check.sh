#!/usr/bin/env bash
# Checks the page's sources: types, format, rules, and that vendored files are those of their packages.
#
# Needs Node: `apt-get install nodejs npm`, which this does where it may and they are missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

if ! command -v npm >/dev/null; then
    if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
        echo "check.sh: needs Node: apt-get install nodejs npm" >&2
        exit 1
    fi
    apt-get update -qq && apt-get install -qq --yes --no-install-recommends nodejs npm >&2
fi
if [[ ! node_modules/.package-lock.json -nt package-lock.json ]]; then
    PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-audit --no-fund --loglevel=error >&2
fi
npm run --silent check
