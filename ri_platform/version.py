"""The version of the platform and its SDK, the only place that states it: wheels, API and metrics read it.

`tools/release.py` changes it; docs/releasing.md has the steps.
"""

VERSION = "0.1.0"
