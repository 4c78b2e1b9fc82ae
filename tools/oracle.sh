#!/usr/bin/env bash
# oracle.sh: .venv-oracle, an environment of MediaPipe 0.10.21 alone, with which the product's face finder is compared. MediaPipe has
# wheels for Python 3.11 and 3.12: exit 3 where this machine has neither. Does nothing when it already holds requirements/oracle.lock.
set -euo pipefail
cd "$(dirname "$0")/.."
record=.venv-oracle/.facevitals
wanted="$(cksum <requirements/oracle.lock) $PWD"
[ "$(cat "$record" 2>/dev/null)" = "$wanted" ] && exit
python=
home=${HOME:-/nonexistent}
shopt -s nullglob
for candidate in "${ORACLE_PYTHON:-python3.12}" python3.12 python3.11 python3 \
    "${PYENV_ROOT:-$home/.pyenv}"/versions/3.1[12].*/bin/python3; do
    if "$candidate" -c 'import sys, venv; raise SystemExit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || { echo "MediaPipe 0.10.21 needs Python 3.11 or 3.12: ORACLE_PYTHON names one" >&2; exit 3; }
echo "Setting up .venv-oracle with $("$python" --version)" >&2
"$python" -m venv --clear --without-pip .venv-oracle
.venv/bin/python -m pip --python .venv-oracle/bin/python --disable-pip-version-check install --quiet --no-deps --require-hashes -r requirements/oracle.lock
echo "$wanted" >"$record"
