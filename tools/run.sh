#!/usr/bin/env bash
# Start the product. Until it listens to Ctrl-C itself, a Ctrl-C waits for it: Python would answer with a traceback.
set -euo pipefail
hold=()
# Not every env can hold a signal back. The shell forgets a Ctrl-C during a command that ends by itself: hence the trap.
trap 'exit 130' INT
if env --block-signal=INT true 2>/dev/null; then hold=(env --block-signal=INT); fi
trap - INT
exec "${hold[@]}" .venv/bin/python -m ri_platform.local
