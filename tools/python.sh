#!/usr/bin/env bash
# python.sh: prints the path of a Python 3.11 to 3.14: the one on PATH, or one in the folders of Homebrew, python.org, pyenv or uv.
# PYTHON=… is tried first.
set -euo pipefail

take() {
    if "$1" -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] < (3, 15))' </dev/null >/dev/null 2>&1; then
        command -v "$1"
        exit 0
    fi
}

for python in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do take "$python"; done

home=${HOME:-/nonexistent}
case $OSTYPE in darwin*) brew=/opt/homebrew ;; *) brew=/nonexistent ;; esac
shopt -s nullglob
for version in 3.14 3.13 3.12 3.11; do
    for place in "${HOMEBREW_PREFIX:-$brew}/opt/python@$version" "/usr/local/opt/python@$version" \
        "/Library/Frameworks/Python.framework/Versions/$version" \
        "${PYENV_ROOT:-$home/.pyenv}"/versions/$version.* \
        "${UV_PYTHON_INSTALL_DIR:-${XDG_DATA_HOME:-$home/.local/share}/uv/python}"/cpython-$version*; do
        take "$place/bin/python$version"
    done
done

echo "python.sh: Python 3.11, 3.12, 3.13 or 3.14 is needed. Install one (Debian and Ubuntu: apt-get install python3 python3-venv;" \
    "Homebrew: brew install python@3.13), or name one that is elsewhere: make PYTHON=/path/to/python3 …" >&2
exit 1
