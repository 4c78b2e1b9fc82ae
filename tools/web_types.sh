#!/usr/bin/env bash
# web_types.sh [OUT]: writes the page's types of the API (default web/src/api/openapi.ts) from the OpenAPI document, with openapi-typescript.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-web/src/api/openapi.ts}
generator=web/openapi/node_modules/.bin/openapi-typescript
[ -x "$generator" ] || (cd web/openapi && npm ci --loglevel=error --no-progress >&2)
document=$(mktemp)
trap 'rm -f "$document"' EXIT
.venv/bin/python - >"$document" <<'PYTHON'
import json

from api.app import create_app
from shared.settings import Settings

# The broker is never called: the document comes from the code alone.
print(json.dumps(create_app(Settings(redis_url="redis://127.0.0.1:1/0")).openapi()))
PYTHON
"$generator" "$document" --output "$out" --immutable --root-types --root-types-no-schema-prefix >&2
