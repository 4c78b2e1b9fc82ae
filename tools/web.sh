#!/usr/bin/env bash
# web.sh [WHAT…]: builds the page into web/dist, unless web/dist is of the present sources already. Needs Node 20.19 or later with npm;
# without them it prints a message and exits 0, because the service works without the page (STRICT=1 makes that a failure).
# WHAT: build (default), modules (node_modules alone).
set -euo pipefail
cd "$(dirname "$0")/../web"

missing() {
    echo "No page: $1. The HTTP interface is not affected; install Node.js 20.19 or later and run 'make web' for the page." >&2
    exit ${STRICT:+1}
}
command -v node >/dev/null && command -v npm >/dev/null || missing "Node.js with npm was not found"
node -e 'const [major, minor] = process.versions.node.split(".").map(Number); process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)' \
    || missing "Node.js $(node --version) is too old"

modules() {
    local stamp=node_modules/.installed want
    want=$(cat package.json package-lock.json .npmrc | cksum)
    [ "$(cat "$stamp" 2>/dev/null)" = "$want" ] && return
    echo "Installing the page's packages" >&2
    npm ci --loglevel=error --no-progress >&2 || missing "its packages could not be installed"
    echo "$want" >"$stamp"
}

build() {
    local stamp=dist/.built want
    want=$(find src public index.html vite.config.ts tsconfig.json package.json package-lock.json -type f -print0 | LC_ALL=C sort -z | xargs -0 cksum | cksum)
    [ "$(cat "$stamp" 2>/dev/null)" = "$want" ] && return
    modules
    echo "Building the page" >&2
    node_modules/.bin/vite build --logLevel warn || missing "it could not be built"
    echo "$want" >"$stamp"
}

"${1:-build}"
