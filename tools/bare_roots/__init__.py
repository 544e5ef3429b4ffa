"""`make run` and `make test` in bare Debian root file systems, as root and as an ordinary user.

sudo python3 -m tools.bare_roots                     # every cell that has no result yet, then the table
sudo python3 -m tools.bare_roots --suites trixie --users user --what test -- tests/test_env.py
python3 -m tools.bare_roots --table                  # the table of what was measured before
"""
