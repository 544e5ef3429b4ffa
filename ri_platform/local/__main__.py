"""`python -m ri_platform.local`: block signals until their handlers are installed, then start."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    # Imported only now: a Ctrl-C during these imports would be answered with a traceback.
    from ri_platform.local import start

    return start.main()


if __name__ == "__main__":
    sys.exit(main())
