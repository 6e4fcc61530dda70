# shellcheck shell=bash
# Fetches what the scripts of this folder need, where it may and it is missing. To be sourced, with this folder as the
# current one. With the argument `browser`: Chromium too, unless CHROMIUM names another browser.

# installed COMMAND PACKAGE...
installed() {
    command -v "$1" >/dev/null && return
    if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
        echo "$0: needs $1: apt-get install ${*:2}" >&2
        exit 1
    fi
    apt-get update -qq && apt-get install -qq --yes --no-install-recommends "${@:2}" >&2
}

installed npm nodejs npm
if [[ ${1:-} == browser && -z ${CHROMIUM:-} ]]; then installed chromium chromium; fi
if [[ ! node_modules/.package-lock.json -nt package-lock.json ]]; then
    PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-audit --no-fund --loglevel=error >&2
fi
