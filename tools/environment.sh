#!/usr/bin/env bash
# environment.sh LOCK [VENV]: makes VENV (default .venv) hold what requirements/LOCK.lock lists, and the project itself in editable form.
# Does nothing when it already does. Needs Python 3.11 or 3.12 with venv, and a package registry; nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
lock=$1
venv=${2:-.venv}
stamp="$venv/.installed-$lock"
want=$(cat "requirements/$lock.lock" requirements/bootstrap.lock pyproject.toml | cksum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then exit 0; fi

runs() { "$1" -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null; }
if [ ! -x "$venv/bin/python" ] || ! runs "$venv/bin/python"; then
    found=
    for python in ${PYTHON:-} python3 python3.12 python3.11; do
        if command -v "$python" >/dev/null && runs "$python"; then found=$python; break; fi
    done
    [ -n "$found" ] || { echo "Python 3.11 or 3.12 is needed: install one, or name it: make PYTHON=/path/to/python3.12 …" >&2; exit 1; }
    echo "Setting up $venv with $("$found" --version)" >&2
    "$found" -m venv --clear "$venv" || { echo "This Python has no venv module (on Debian and Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
fi
if ! "$venv/bin/uv" --version >/dev/null 2>&1; then
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.lock
fi
# A registry that is set for pip serves uv as well.
if [ -z "${UV_DEFAULT_INDEX:-}" ]; then
    index=$("$venv/bin/python" -m pip config get global.index-url 2>/dev/null || true)
    [ -z "${PIP_INDEX_URL:-$index}" ] || export UV_DEFAULT_INDEX="${PIP_INDEX_URL:-$index}"
fi
echo "Installing requirements/$lock.lock" >&2
export VIRTUAL_ENV="$PWD/$venv" UV_LINK_MODE="${UV_LINK_MODE:-copy}"
case $venv in /*) export VIRTUAL_ENV="$venv" ;; esac
"$venv/bin/uv" pip install --quiet --no-deps --require-hashes -r "requirements/$lock.lock"
"$venv/bin/uv" pip install --quiet --no-deps --no-build-isolation -e .
echo "$want" >"$stamp"
