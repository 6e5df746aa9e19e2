#!/bin/sh
# Makes .venv, the project's own environment, from whatever Python >= 3.11 is here; on a fresh Debian or Ubuntu as
# root, installs one. Everything after that is `lab setup`. Safe to run again, and in two shells at once.
set -eu
cd "$(dirname "$0")/.."
ready=.venv/.ready
want="$(cat pyproject.toml .ci/constraints.txt lab/bootstrap.sh | cksum)"

usable() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    for python in "${PYTHON:-}" python3.13 python3.12 python3.11 python3.14 python3; do
        [ -n "$python" ] && usable "$python" && { echo "$python"; return; }
    done
    return 1
}

if ! python=$(find_python); then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "setup: no Python >= 3.11 with venv here; installing it with apt" >&2
        export DEBIAN_FRONTEND=noninteractive
        apt-get -o DPkg::Lock::Timeout=300 -qq update
        apt-get -o DPkg::Lock::Timeout=300 -qq install --yes --no-install-recommends python3 python3-venv >&2
        if ! find_python >/dev/null; then
            apt-get -o DPkg::Lock::Timeout=300 -qq install --yes --no-install-recommends python3.11 python3.11-venv >&2
        fi
        python=$(find_python)
    else
        echo "setup: Python 3.11 or newer with venv is wanted." >&2
        echo "  try: sudo apt-get install python3 python3-venv    # Debian, Ubuntu" >&2
        echo "       brew install python                          # macOS" >&2
        exit 2
    fi
fi

# One shell at a time makes the environment; the lock dies with its holder. macOS has no flock and goes without.
exec 9>.venv.lock
if command -v flock >/dev/null; then
    flock -n 9 || { echo "setup: waiting for another setup in this folder" >&2; flock 9; }
fi

# A pack of `lab workshop pack` has every package: then nobody is asked for any.
if [ -n "${LAB_PACK:-}" ]; then
    mkdir -p .lab
    tar -xf "$LAB_PACK" -C .lab wheels
    export PIP_NO_INDEX=1 PIP_FIND_LINKS="$PWD/.lab/wheels"
fi

if [ "$(cat "$ready" 2>/dev/null || true)" != "$want" ]; then
    echo "setup: making .venv with $($python --version)" >&2
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    .venv/bin/python -m pip install -qq --disable-pip-version-check -c .ci/constraints.txt -e '.[dev]'
    echo "$want" >"$ready"
else
    touch "$ready"
fi
