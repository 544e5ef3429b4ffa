#!/usr/bin/env bash
# tools/system_packages.sh PACKAGE…: install the Debian packages that are missing where that is allowed, else say
# what to install. A package is looked for by what is used of it: a command, a library or a module.
# A missing one never stops the caller here: what needs it says so in its own words.
set -uo pipefail

main() {
  local missing=() package
  for package in "$@"; do
    is_here "$package" || missing+=("$package")
  done
  if [ ${#missing[@]} -eq 0 ]; then return; fi
  if ! command -v apt-get >/dev/null || ! become_root; then
    echo "Please install: ${missing[*]} (on Debian and Ubuntu: sudo apt-get install ${missing[*]})" >&2
    return
  fi
  echo "Installing ${missing[*]} …"
  keep_services_down
  apt update >/dev/null 2>&1 || true
  if ! apt install "${missing[@]}" >/dev/null 2>&1; then
    # One that cannot be had does not take the others with it.
    for package in "${missing[@]}"; do
      words=$(apt install "$package" 2>&1) || echo "$package could not be installed: $(tail -n 1 <<< "$words")" >&2
    done
  fi
  case " ${missing[*]} " in *" rabbitmq-server "*) "${as_root[@]}" systemctl disable rabbitmq-server >/dev/null 2>&1 ;; esac
}

is_here() {
  case "$1" in
    python3*-venv) "${1%-venv}" -c 'import ensurepip, venv' 2>/dev/null ;;
    chromium) command -v chromium chromium-browser google-chrome >/dev/null ;;
    rabbitmq-server) [ -e /usr/lib/rabbitmq/bin/rabbitmq-server ] ;;
    # An ordinary user's processes can make no use of these, or do without.
    buildah | bubblewrap | mmdebstrap) [ "$(id -u)" -ne 0 ] || command -v "${1/bubblewrap/bwrap}" >/dev/null ;;
    # buildah of Debian 13 does nothing without it, and only recommends it.
    netavark) [ "$(id -u)" -ne 0 ] || [ -e /usr/lib/podman/netavark ] ;;
    lib*) has_library "$1" ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

# By its name in Debian, libatomic1 is libatomic.so.1. ldconfig is on root's PATH alone.
has_library() {
  local version="${1##*[!0-9]}" listed
  listed=$(/sbin/ldconfig -p 2>/dev/null)
  [[ "$listed" == *"${1%"$version"}.so.$version "* ]]
}

become_root() {
  if [ "$(id -u)" -eq 0 ]; then as_root=(); return; fi
  as_root=(sudo -n)
  sudo -n true 2>/dev/null
}

apt() {
  # Another apt may be running, on a machine that has just started above all.
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq --yes --no-install-recommends \
    -o DPkg::Lock::Timeout=120 "$@"
}

# The tests start a broker of their own: one that comes with its package is not to run here (policy-rc.d).
keep_services_down() {
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ] && printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null 2>&1; then
    "${as_root[@]}" chmod +x "$policy"
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
  fi
}

main "$@"
exit 0
