# Python packages for the scripts of this folder, which source this file.

# Prints the folder of a Python environment of this name with these packages. Installs it once: a mark makes it complete.
environment() {
    local folder="${XDG_CACHE_HOME:-$HOME/.cache}/room-reservations/$1"
    if [[ ! -f $folder/complete ]]; then
        # `set -e` does not reach into `$(environment ...)`.
        rm -rf "$folder" || return
        python3 -m venv "$folder" >&2 || return
        "$folder/bin/pip" install --quiet "${@:2}" >&2 || return
        touch "$folder/complete" || return
    fi
    echo "$folder"
}
