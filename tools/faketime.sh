#!/usr/bin/env bash
# faketime.sh: prints the path of libfaketime.so.1. Where it is not installed, it is unpacked (not installed) from the package of Debian or Ubuntu.
set -euo pipefail
cd "$(dirname "$0")/.."
find_in() { find "$@" -name libfaketime.so.1 -print -quit 2>/dev/null | grep .; }
if find_in /usr/lib /usr/local/lib; then exit 0; fi
place=$PWD/artefacts/faketime
if ! find_in "$place" >/dev/null; then
    command -v apt-get >/dev/null || { echo "Install libfaketime: this system has no apt-get to take it from" >&2; exit 1; }
    mkdir -p "$place/package"
    fetch() { (cd "$place/package" && apt-get download -qq libfaketime) >&2; }
    fetch || { [ "$(id -u)" = 0 ] && apt-get update -qq >&2 && fetch; } || { echo "Install libfaketime: its package could not be fetched" >&2; exit 1; }
    dpkg-deb -x "$place"/package/libfaketime_*.deb "$place"
fi
find_in "$place"
