#!/usr/bin/env bash
# browser.sh: what the browser tests need beside the development environment: Playwright's driver, Chromium, the page.
set -euo pipefail
cd "$(dirname "$0")/.."
bash tools/environment.sh browser
STRICT=1 bash tools/web.sh modules
STRICT=1 bash tools/web.sh
for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
    [ -n "$name" ] && command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Chromium" >&2
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
else
    echo "Chromium is needed: install it, or name it in CHROMIUM" >&2
    exit 1
fi
