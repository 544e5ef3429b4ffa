"""Verification: what the records promise, held against the records themselves and against the registry."""
