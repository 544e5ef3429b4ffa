"""REST endpoints for workspaces, members, accounts and tokens; `guard.py` asks for access."""
