"""The certificates that this installation trusts, read once a process: reading them takes 20 ms."""

from __future__ import annotations

import ssl
from functools import lru_cache


@lru_cache(maxsize=2)
def trust(ca_file: str = "") -> ssl.SSLContext:
    """The authorities in `ca_file`, else the system's, or those of SSL_CERT_FILE and SSL_CERT_DIR."""
    return ssl.create_default_context(cafile=ca_file or None)
