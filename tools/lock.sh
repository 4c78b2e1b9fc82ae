#!/usr/bin/env bash
# Writes requirements/*.lock from pyproject.toml: every release pinned with its hashes, for every supported Python.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
compile() {
    out=requirements/$1.lock; shift
    "$uv" pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
        --override "${overrides:-requirements/overrides.txt}" --no-emit-index-url --no-annotate --no-header \
        ${UPGRADE:+--upgrade} -o "$out" "$@"
}
echo 'uv==0.13.9' | "$uv" pip compile --quiet --universal --generate-hashes --no-annotate --no-header --no-emit-index-url -o requirements/bootstrap.lock -
# The generator of Python clients has an environment of its own.
compile client requirements/client.txt
compile dev --extra worker --extra dev --extra tracing pyproject.toml
compile browser --extra worker --extra dev --extra tracing --extra browser -c requirements/dev.lock pyproject.toml
# The smaller environments take the very releases of the largest.
compile default --extra worker -c requirements/dev.lock pyproject.toml requirements/build.txt
compile gateway -c requirements/dev.lock pyproject.toml requirements/build.txt
overrides=$(mktemp)
trap 'rm -f "$overrides"' EXIT
# TensorFlow imports setuptools.
grep -v '^setuptools ' requirements/overrides.txt >"$overrides"
compile seed --extra worker --extra dev --extra tracing --extra seed -c requirements/dev.lock pyproject.toml
# On a GPU the same releases again, with onnxruntime-gpu in place of onnxruntime: both own the folder `onnxruntime`, so the one is left out.
grep -v '^onnxruntime>=' requirements/overrides.txt >"$overrides"
echo "onnxruntime ; python_version < '0'" >>"$overrides"
compile gpu --extra worker -c requirements/dev.lock pyproject.toml requirements/build.txt requirements/gpu.txt
# MediaPipe, with which the face mesh is compared, without what its face solutions never import.
printf '%s ; python_version < "0"\n' jax jaxlib sentencepiece sounddevice opencv-contrib-python >"$overrides"
compile oracle requirements/oracle.txt
