# To be sourced: have uv ask the package index that pip asks, and trust what the system trusts.
# pip's own settings decide where packages come from; what the environment says about uv wins.
index=$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)
index="${UV_DEFAULT_INDEX:-${PIP_INDEX_URL:-$index}}"
if [ -n "$index" ]; then export UV_DEFAULT_INDEX="$index"; fi
# Left alone, uv trusts a list of its own and not what an administrator added to the system's.
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"; fi
