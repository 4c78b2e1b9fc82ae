#!/usr/bin/env bash
# nginx.sh: prints the path of an nginx. Where none is installed, one is unpacked (not installed) from the package of Debian or Ubuntu.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/local/sbin:/usr/sbin
if command -v nginx; then exit 0; fi
place=$PWD/artefacts/nginx
if [ ! -x "$place/usr/sbin/nginx" ]; then
    command -v apt-get >/dev/null || { echo "Install nginx: this system has no apt-get to take it from" >&2; exit 1; }
    mkdir -p "$place/package"
    fetch() { (cd "$place/package" && apt-get download -qq nginx) >&2; }
    fetch || { [ "$(id -u)" = 0 ] && apt-get update -qq >&2 && fetch; } || { echo "Install nginx: its package could not be fetched" >&2; exit 1; }
    dpkg-deb -x "$place"/package/nginx_*.deb "$place"
fi
echo "$place/usr/sbin/nginx"
