#!/usr/bin/env bash
# wheel.sh DIST [VENV]: builds the page, the source distribution, and from that the wheel, into the folder DIST.
# With VENV, an environment is made there of the releases in requirements/default.lock, and the wheel is installed into it.
set -euo pipefail
cd "$(dirname "$0")/.."
dist=$PWD/$1 venv=${2:-}
bash tools/environment.sh dev
STRICT=1 bash tools/web.sh
rm -rf "$dist"
.venv/bin/python -m hatchling build -t sdist -d "$dist" >/dev/null
# From the source distribution, so that a file missing there is noticed here.
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
tar -xzf "$dist"/facevitals-*.tar.gz -C "$unpacked"
(cd "$unpacked"/facevitals-* && "$OLDPWD/.venv/bin/python" -m hatchling build -t wheel -d "$dist" >/dev/null)
ls "$dist"
[ -n "$venv" ] || exit 0
bash tools/environment.sh default "$venv"
.venv/bin/uv pip install --quiet --offline --python "$venv/bin/python" --no-deps --reinstall-package facevitals "$dist"/facevitals-*.whl
