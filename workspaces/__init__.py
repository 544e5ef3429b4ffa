"""People: users, roles, the access table (`access.py`), the audit log, API tokens."""
