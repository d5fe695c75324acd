#!/bin/sh
# Make what the project runs on: Debian packages, and .venv from the lock. Does nothing when nothing is missing.
#   install.sh          what running needs
#   install.sh tests    and what the tests need
set -eu
cd "$(dirname "$0")/../.."

say() { printf '%s\n' "$*" >&2; }
stop() { say "throughline: $*"; exit 2; }

# --- Python 3.11 ---------------------------------------------------------------------------------------------------
if [ ! -x .venv/bin/python ]; then
    python=
    for candidate in ${PYTHON:-} python3.11 python3; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
            python=$candidate
            break
        fi
    done
    [ -n "$python" ] || stop "Python 3.11 is needed and is neither python3.11 nor python3 here; name it: make PYTHON=/path/to/python3.11 …"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        stop "this Python cannot make virtual environments: apt-get install python3-venv"
fi

# --- Debian packages -----------------------------------------------------------------------------------------------
wanted=$(sed -e 's/#.*//' include/stack/packages.txt)
if [ "${1:-}" = tests ]; then
    wanted=$(printf '%s\n' "$wanted" | sed 's/\[tests\]//')
else
    wanted=$(printf '%s\n' "$wanted" | grep -v '\[tests\]')
fi
if command -v dpkg-query >/dev/null; then
    missing=
    for package in $wanted; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
    done
    if [ -n "$missing" ]; then
        [ "$(id -u)" = 0 ] || stop "Debian packages are missing. Install them, then repeat:
    sudo apt-get update && sudo apt-get install --yes --no-install-recommends$missing"
        say "installing$missing"
        export DEBIAN_FRONTEND=noninteractive
        # shellcheck disable=SC2086  # one word per package
        apt-get install --yes --no-install-recommends -qq $missing </dev/null >/dev/null 2>&1 || {
            apt-get update -qq </dev/null >&2
            apt-get install --yes --no-install-recommends -qq $missing </dev/null >&2
        }
    fi
else
    say "not a Debian system; this must be there:" $wanted
fi

# --- Virtual environment -------------------------------------------------------------------------------------------
stamp=.venv/.installed-$(cat requirements.txt pyproject.toml | sha256sum | cut -c1-16)
[ ! -e "$stamp" ] || exit 0
say "installing the locked Python packages into .venv"
[ -x .venv/bin/python ] || "$python" -m venv .venv
# uv comes from the lock too, checked by its hash like everything else.
lock=$(mktemp)
trap 'rm -f "$lock"' EXIT
awk '/^uv==/ { on = 1 } on { print } on && /# via/ { exit }' requirements.txt >"$lock"
.venv/bin/python -m pip install -q --disable-pip-version-check --no-input --require-hashes -r "$lock"
.venv/bin/uv pip install -q --python .venv/bin/python --require-hashes -r requirements.txt
.venv/bin/uv pip install -q --python .venv/bin/python --no-deps --no-build-isolation -e .
rm -f .venv/.installed-*
: >"$stamp"
