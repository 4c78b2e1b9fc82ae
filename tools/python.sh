#!/usr/bin/env bash
# python.sh: prints the path of a Python 3.11 or 3.12: the one on PATH, or one in the folders of Homebrew, python.org, pyenv or uv.
# Where there is none, uv fetches one, checked against the hash that uv has: the uv of .venv, or on PATH, or else the release of
# requirements/bootstrap.lock, which any other Python 3 can install. PYTHON=… is tried first.
set -euo pipefail
cd "$(dirname "$0")/.."
needed="Python 3.11 or 3.12 is needed"
choices="install one, or name one that is elsewhere: make PYTHON=/path/to/python3.12 …"

fail() { echo "python.sh: $*" >&2; exit 1; }
works() { "$1" -c "import sys; raise SystemExit(not $2)" </dev/null >/dev/null 2>&1; }
take() { if works "$1" '(3, 11) <= sys.version_info[:2] < (3, 13)'; then command -v "$1"; exit 0; fi; }

for python in "${PYTHON:-python3}" python3.12 python3.11; do take "$python"; done

home=${HOME:-/nonexistent}
case $OSTYPE in darwin*) brew=/opt/homebrew ;; *) brew=/nonexistent ;; esac
shopt -s nullglob
for version in 3.12 3.11; do
    for place in "${HOMEBREW_PREFIX:-$brew}/opt/python@$version" "/usr/local/opt/python@$version" \
        "/Library/Frameworks/Python.framework/Versions/$version" \
        "${PYENV_ROOT:-$home/.pyenv}"/versions/$version.* \
        "${UV_PYTHON_INSTALL_DIR:-${XDG_DATA_HOME:-$home/.local/share}/uv/python}"/cpython-$version*; do
        take "$place/bin/python$version"
    done
done

uv='' other=''
for candidate in "$PWD/.venv/bin/uv" uv; do
    if "$candidate" --version >/dev/null 2>&1; then uv=$candidate; break; fi
done
if [ -z "$uv" ]; then
    for python in python3 python3.14 python3.13 python3.10 python3.9 python3.8; do
        if works "$python" 'sys.version_info >= (3, 8)'; then other=$python; break; fi
    done
    [ -n "$other" ] || fail "$needed, and this machine has neither a Python nor uv to fetch it with: $choices"
    setup=$(mktemp -d "$PWD/.venv-setup.XXXXXX")
    trap 'rm -rf "$setup"' EXIT
    echo "No Python 3.11 or 3.12 here: installing uv, which fetches one" >&2
    "$other" -m venv "$setup" >/dev/null 2>&1 \
        || fail "$needed, and the $("$other" --version) of this machine has no venv module to fetch it with (on Debian and Ubuntu: apt-get install python3-venv): install that, or $choices"
    PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 "$setup/bin/python" -m pip install \
        --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.lock >&2 \
        || fail "$needed, and uv, which would fetch it, can't be downloaded from the package registry (see above): $choices"
    uv=$setup/bin/uv other=$setup/bin/python
fi

# A certificate authority that is set for pip, as behind a company's proxy, is used for uv as well.
cert=${PIP_CERT:-$("${other:-python3}" -m pip config get global.cert 2>/dev/null || true)}
[ -z "$cert" ] || export SSL_CERT_FILE=${SSL_CERT_FILE:-$cert}
# Neither a project around this checkout nor an active environment matters.
unset UV_PYTHON VIRTUAL_ENV
range='>=3.11,<3.13'
find_python() { "$uv" python find --no-project --system "$range" 2>/dev/null || true; }
python=$(find_python)
[ -z "$python" ] || take "$python"
echo "Fetching a Python 3.12 with uv" >&2
output=$(COLUMNS=2000 UV_PYTHON_INSTALL_BIN=0 "$uv" python install --no-progress "$range" 2>&1) || {
    # uv's own reason in few words: what failed to load, or the first cause that it gives.
    reason=$(printf '%s\n' "$output" | sed -n 's/^ *cause: //p; s/^error: //p' | sed '/^Failed to install/d; /^Request failed/d' | head -n 1)
    fail "$needed, and uv could not fetch one (${reason:-no reason given}): $choices or set UV_PYTHON_INSTALL_MIRROR to a mirror of python-build-standalone that this machine reaches"
}
python=$(find_python)
[ -z "$python" ] || take "$python"
fail "$needed, and uv does not find the one that it fetched (UV_PYTHON_PREFERENCE=${UV_PYTHON_PREFERENCE:-}): $choices"
