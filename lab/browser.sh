#!/bin/sh
# Makes the browser tests able to run: Playwright into .venv, and a Chromium where none is found (Debian and Ubuntu, as
# root). For `make test` alone; the lab itself needs neither. Safe to run again, and in two shells at once.
set -eu
cd "$(dirname "$0")/.."

find_browser() {
    for browser in "${LAB_BROWSER:-}" chromium chromium-browser google-chrome google-chrome-stable \
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" /Applications/Chromium.app/Contents/MacOS/Chromium; do
        [ -n "$browser" ] && command -v "$browser" && return
    done
    return 1
}

exec 9>.venv.lock
if command -v flock >/dev/null; then
    flock -n 9 || { echo "setup: waiting for another setup in this folder" >&2; flock 9; }
fi

if ! .venv/bin/python -c 'import axe_playwright_python, playwright.sync_api' 2>/dev/null; then
    echo "setup: installing Playwright for the browser tests" >&2
    .venv/bin/python -m pip install -qq --disable-pip-version-check -c .ci/constraints.txt -e '.[dev,browser]'
fi

if ! find_browser >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "setup: no Chromium here; installing it with apt for the browser tests" >&2
        export DEBIAN_FRONTEND=noninteractive
        apt-get -o DPkg::Lock::Timeout=300 -qq update
        apt-get -o DPkg::Lock::Timeout=300 -qq install --yes --no-install-recommends chromium >/dev/null
    else
        echo "setup: no Chromium or Chrome here: the browser tests will be skipped, or fail where CI is set." >&2
        echo "  try: sudo apt-get install chromium    # or LAB_BROWSER=/path/to/chrome make test" >&2
        exit 0
    fi
fi
find_browser >.venv/.browser
