"""Locks: resolution of requirements, package indexes, the files that a lock names."""
