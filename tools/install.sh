#!/usr/bin/env bash
# tools/install.sh [LOCK]: make .venv from a lock, or from the one in $LOCK; requirements/dev.lock unless one is named.
# pip brings uv, uv brings the rest, all of it by hash and ready-made: nothing is compiled here.
#
# `make run` needs requirements/run.lock. requirements/dev.lock holds all of that at the same versions, so an
# environment with the development tools keeps them, whichever is asked for.
set -euo pipefail
cd "$(dirname "$0")/.."

# The minor versions of Python 3 that the locks have wheels for.
OLDEST=11
NEWEST=14
RUN=requirements/run.lock
DEV=requirements/dev.lock
STAMP=.venv/.installed

main() {
  local lock="${1:-${LOCK:-$DEV}}" python begun=$SECONDS
  if [ "$lock" = "$RUN" ] && [ "$(installed)" = "$DEV" ]; then lock=$DEV; fi
  if [ -z "${PYTHON:-}" ] && is_installed "$lock"; then return; fi
  python=$(choose_python) || exit 1
  if is_installed "$lock" && same_python "$python"; then return; fi
  check_writable
  rm -f "$STAMP"
  make_environment "$python"
  fetch_uv "$lock"
  install "$lock"
  if [ "$lock" != "$DEV" ]; then leave_out setuptools; fi
  leave_out_translations
  leave_out_services
  echo "$lock $(contents "$lock")" > "$STAMP"
  echo "Installed in $((SECONDS - begun)) s."
}

# --- what is there already ----------------------------------------------------------------------------------

contents() { cat "$1" tools/install.sh | sha256sum | cut -d ' ' -f 1; }

# The lock that .venv was made from, up to date or not.
installed() { if [ -f "$STAMP" ]; then cut -d ' ' -f 1 "$STAMP"; fi; }

is_installed() {
  [ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$1 $(contents "$1")" ] && .venv/bin/python -c '' 2>/dev/null
}

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }

same_python() { [ "$(version_of "$1")" = "$(version_of .venv/bin/python)" ]; }

check_writable() {
  if [ -w . ] && { [ ! -e .venv ] || [ -w .venv ]; }; then return; fi
  echo ".venv cannot be written in $PWD by $(id -un). Use a checkout of your own, or remove .venv." >&2
  exit 1
}

# --- Python -------------------------------------------------------------------------------------------------

is_supported() {
  case "$(version_of "$1")" in
    3.*) "$1" -c "import sys; sys.exit(not (3, $OLDEST) <= sys.version_info[:2] <= (3, $NEWEST))" ;;
    *) return 1 ;;
  esac
}

# The interpreter to make .venv with: the one in $PYTHON, else the first that is supported.
choose_python() {
  local candidates=(python3) minor found=""
  for ((minor = NEWEST; minor >= OLDEST; minor--)); do candidates+=("python3.$minor"); done
  if [ -n "${PYTHON:-}" ]; then candidates=("$PYTHON"); fi
  for found in "${candidates[@]}"; do
    if is_supported "$found"; then echo "$found"; return; fi
  done
  found=$(version_of "${candidates[0]}")
  echo "Python 3.$OLDEST to 3.$NEWEST is needed, and ${candidates[0]} is ${found:-not here}." \
    "Name another: make run PYTHON=/path/to/python3.$NEWEST" >&2
  return 1
}

# --- the environment ----------------------------------------------------------------------------------------

make_environment() {
  local python="$1" package=python3-venv
  if [ -x .venv/bin/python ] && same_python "$python"; then
    # A venv may be made without pip; without uv it is needed.
    if .venv/bin/python -m pip --version >/dev/null 2>&1; then return; fi
    if quietly .venv/bin/python -m ensurepip; then return; fi
  fi
  rm -rf .venv
  # Debian ships the venv module without what makes it work.
  if ! can_make_environments "$python"; then
    if [ "$python" != python3 ]; then package="python$(version_of "$python")-venv"; fi
    # It installs the package, or says what to install.
    bash tools/system_packages.sh "$package"
    if ! can_make_environments "$python"; then exit 1; fi
  fi
  echo "Making .venv with Python $(version_of "$python") …"
  quietly "$python" -m venv .venv || { rm -rf .venv; exit 1; }
}

can_make_environments() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

fetch_uv() {
  if [ -x .venv/bin/uv ] && [ "$(.venv/bin/uv --version | cut -d ' ' -f 2)" = "$(version_in "$1" uv)" ]; then return; fi
  echo "Fetching uv, which installs the rest …"
  awk '/^uv==/ {on=1} on && !/^(uv==|    )/ {exit} on {print}' "$1" > .venv/uv.lock
  .venv/bin/python -m pip install --no-deps --require-hashes --only-binary :all: --progress-bar off \
    --disable-pip-version-check -r .venv/uv.lock 2>&1 | tell || unfinished
  rm .venv/uv.lock
}

version_in() { sed -n "s/^$2==\([^ ]*\) .*/\1/p" "$1"; }

install() {
  . tools/package_index.sh
  echo "Installing the packages of $1 …"
  # Bytecode is made now, in as many processes as there are cores: some systems never let Python write it later.
  .venv/bin/uv pip sync --no-config --compile-bytecode --only-binary :all: --python .venv/bin/python \
    --require-hashes "$1" 2>&1 | tell || unfinished
}

leave_out() { .venv/bin/uv pip uninstall --quiet --python .venv/bin/python "$@" 2>/dev/null || true; }

# The console speaks one language.
leave_out_translations() {
  find .venv/lib -path '*/locale/*' -name '*.[mp]o' ! -path '*/locale/en*' -delete
}

# botocore describes some 400 services. The platform calls ECR, signs in by STS and SSO, and makes the local
# AWS's accounts by IAM.
leave_out_services() {
  find .venv/lib -path '*/botocore/data/*' -type d -prune ! -name ecr ! -name iam ! -name sts ! -name sso ! -name sso-oidc \
    ! -name signin -exec rm -rf {} +
}

# --- what people see ----------------------------------------------------------------------------------------

# pip's and uv's words, without their lists of packages.
tell() {
  local line
  while IFS= read -r line; do
    case "$line" in
      "") ;;
      " + "* | " - "* | " ~ "* | Resolved* | Using* | Collecting* | Installing\ * | Successfully* | *"Using cached "*) ;;
      *) echo "  ${line#"${line%%[![:space:]]*}"}" ;;
    esac
  done
}

unfinished() {
  echo "The installation did not finish; the lines above say why. Started again, it keeps what it has fetched." >&2
  exit 1
}

# Run a command; its words are for whom it fails.
quietly() {
  local words
  words=$("$@" 2>&1) || { echo "$words" >&2; return 1; }
}

interrupted() {
  echo "Stopped. Started again, it goes on from here." >&2
  exit 130
}

trap interrupted INT TERM
main "$@"
