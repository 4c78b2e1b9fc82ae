#!/usr/bin/env bash
# seed.sh: .venv-seed, an environment of its own for the models behind the extra `seed`: TensorFlow and PyTorch take several gigabytes.
# PyTorch and torchvision are pip's choice: pip finds the build for this machine where an index or a folder of wheels is set for it.
set -euo pipefail
cd "$(dirname "$0")/.."
torch=2.13.0 torchvision=0.28.0
bash tools/environment.sh dev
# The second environment has the Python of the first.
if .venv/bin/python -c 'import sys; raise SystemExit(sys.version_info < (3, 14))'; then
    echo "seed.sh: TensorFlow has no release for Python 3.14: make seed-environment PYTHON=/path/to/python3.13" >&2
    exit 1
fi
PYTHON=$PWD/.venv/bin/python bash tools/environment.sh seed .venv-seed
version() { .venv-seed/bin/python -c "import sys; from importlib.metadata import version; print(version(sys.argv[1]))" "$1" 2>/dev/null || true; }
pip() { .venv/bin/python -m pip --python .venv-seed/bin/python --disable-pip-version-check install --quiet "$@"; }
case $(version torch) in "$torch" | "$torch+"*) ;; *)
    echo "Installing PyTorch into .venv-seed" >&2
    pip "torch==$torch"
    ;;
esac
# Without its dependencies: it would bring the PyTorch that it was compiled against.
case $(version torchvision) in "$torchvision" | "$torchvision+"*) ;; *) pip --no-deps "torchvision==$torchvision" ;; esac
