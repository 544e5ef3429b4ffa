"""The version, which stands here and nowhere else: both wheels, the API, provenance and metrics read it.

`tools/release.py` changes it; docs/releasing.md has the steps.
"""

VERSION = "0.1.0"
