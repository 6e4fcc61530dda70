#!/usr/bin/env bash
# Checks the OpenAPI documents of both services: deploy/openapi/check.sh
#
# The documents must pass Redocly's recommended rules, and TypeScript types generated from them must compile. Needs Node with
# npm. Keeps the tools in the user's cache folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
TOOLS="${XDG_CACHE_HOME:-$HOME/.cache}/room-reservations/tools/openapi-$(sha256sum deploy/openapi/package.json | cut -c1-16)"

# A folder with its final name is complete.
if [[ ! -d $TOOLS ]]; then
    rm -rf "$TOOLS.tmp"
    mkdir -p "$TOOLS.tmp"
    cp deploy/openapi/package.json "$TOOLS.tmp/"
    npm install --prefix "$TOOLS.tmp" --no-audit --no-fund --loglevel=error >&2
    mv "$TOOLS.tmp" "$TOOLS"
fi
BIN="$TOOLS/node_modules/.bin"

WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
# shellcheck source=deploy/compiling.sh
. deploy/compiling.sh
# With the tests, so that the features are those of test.sh and nothing compiles twice.
cargo build --workspace --bins --tests --locked
PROGRAMS="${CARGO_TARGET_DIR:-$PWD/target}/debug"
"$PROGRAMS/command-service" openapi >"$WORK/commands.json"
"$PROGRAMS/query-service" openapi >"$WORK/queries.json"

export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true
for document in commands queries; do
    # Warnings count as errors.
    "$BIN/redocly" lint --config deploy/openapi/redocly.yaml --format=json "$WORK/$document.json" \
        >"$WORK/$document.lint" 2>"$WORK/$document.err" || { cat "$WORK/$document".{err,lint} >&2; exit 1; }
    node -e '
        const found = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8")).totals;
        if (found.errors + found.warnings > 0) process.exit(1);
    ' "$WORK/$document.lint" || { cat "$WORK/$document.lint" >&2; exit 1; }
    "$BIN/openapi-typescript" "$WORK/$document.json" --output "$WORK/$document.d.ts" >&2
done
cp deploy/openapi/client.ts "$WORK/"
"$BIN/tsc" --noEmit --strict --skipLibCheck false --target es2022 --module nodenext --moduleResolution nodenext "$WORK/client.ts"
echo "OpenAPI: both documents keep Redocly's recommended rules; their TypeScript types compile."
