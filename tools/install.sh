#!/usr/bin/env bash
# Make .venv from requirements/dev.lock, or from the one in LOCK: pip brings uv, uv brings the rest, both by hash.
set -euo pipefail
python="${PYTHON:-python3}"
wanted="${LOCK:-requirements/dev.lock}"

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "Python 3.11 or later is needed; name it with: make PYTHON=/path/to/python3.11 run" >&2
  exit 1
fi
if [ ! -x .venv/bin/python ]; then
  # Debian ships the venv module without what makes it work; python3-venv has that.
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    bash tools/system_packages.sh python3-venv
  fi
  "$python" -m venv .venv || { rm -rf .venv; echo "Install python3-venv: apt-get install python3-venv" >&2; exit 1; }
fi
if [ ! -x .venv/bin/uv ]; then
  lock=$(mktemp)
  trap 'rm -f "$lock"' EXIT
  awk '/^uv==/ {on=1} on && !/^(uv==|    )/ {exit} on {print}' "$wanted" > "$lock"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r "$lock"
fi
# pip's own settings decide where packages come from, so that uv asks the same index.
index=$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)
index="${UV_DEFAULT_INDEX:-${PIP_INDEX_URL:-$index}}"
# Left alone, uv trusts a list of its own and not what an administrator added to the system's.
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"; fi
# Bytecode is made now, in as many processes as there are cores: some systems never let Python write it later.
${index:+env UV_DEFAULT_INDEX="$index"} .venv/bin/uv pip sync --quiet --no-config --compile-bytecode --python .venv/bin/python --require-hashes "$wanted"
touch .venv/.installed
