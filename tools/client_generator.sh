#!/usr/bin/env bash
# client_generator.sh: .venv-client, an environment of its own for openapi-python-client: it needs an older Typer than the project does.
# Does nothing when it already holds what requirements/client.lock lists. Needs .venv.
set -euo pipefail
cd "$(dirname "$0")/.."
record=.venv-client/.facevitals
wanted="$(cksum <requirements/client.lock) $PWD"
[ "$(cat "$record" 2>/dev/null)" = "$wanted" ] && exit
echo "Setting up .venv-client" >&2
.venv/bin/python -m venv --clear --without-pip .venv-client
.venv/bin/python -m pip --python .venv-client/bin/python --disable-pip-version-check install --quiet --require-hashes -r requirements/client.lock
echo "$wanted" >"$record"
