#!/usr/bin/env bash
# Lighthouse over the main pages of an instance of its own, and what they weigh over the wire.
# Needs Node 18 to 20 and npm; Lighthouse is installed outside of the project, once.
set -euo pipefail
version=12.8.2
home="${LIGHTHOUSE_HOME:-${TMPDIR:-/tmp}/lighthouse-$version}"
if [ ! -x "$home/node_modules/.bin/lighthouse" ]; then
  npm install --silent --no-fund --no-audit --prefix "$home" "lighthouse@$version"
fi
exec .venv/bin/python -m benchmarks.pages --lighthouse "$home/node_modules/.bin/lighthouse"
