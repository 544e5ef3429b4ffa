#!/usr/bin/env bash
# Install the Debian packages that are missing where that is allowed, else say what to install.
# A missing one never stops the caller here: what needs it says so in its own words.
set -uo pipefail
missing=()
for package in "$@"; do
  case "$package" in
    python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=("$package") ;;
    chromium) command -v chromium chromium-browser google-chrome >/dev/null || missing+=("$package") ;;
    rabbitmq-server) [ -e /usr/lib/rabbitmq/bin/rabbitmq-server ] || missing+=("$package") ;;
    *) command -v "$package" >/dev/null || missing+=("$package") ;;
  esac
done
[ ${#missing[@]} -eq 0 ] && exit 0

if command -v apt-get >/dev/null; then
  if [ "$(id -u)" -eq 0 ]; then as_root=(); elif sudo -n true 2>/dev/null; then as_root=(sudo -n); else as_root=(false); fi
  echo "Installing ${missing[*]} …"
  # Another apt may be running, on a machine that has just started above all.
  patient=(-o DPkg::Lock::Timeout=120)
  export DEBIAN_FRONTEND=noninteractive
  # The tests start a broker of their own: one that comes with its package is not to run here (policy-rc.d).
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ] && printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null 2>&1; then
    "${as_root[@]}" chmod +x "$policy"
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
  fi
  "${as_root[@]}" apt-get "${patient[@]}" update -qq >/dev/null 2>&1 || true
  if "${as_root[@]}" apt-get "${patient[@]}" install -y -qq --no-install-recommends "${missing[@]}" >/dev/null 2>&1; then
    case " ${missing[*]} " in *" rabbitmq-server "*) "${as_root[@]}" systemctl disable rabbitmq-server >/dev/null 2>&1 ;; esac
    exit 0
  fi
fi
echo "Please install: ${missing[*]} (on Debian and Ubuntu: sudo apt-get install ${missing[*]})" >&2
exit 0
