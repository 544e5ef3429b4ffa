"""Verbs that change something: access check, lock, change, audit event, in one transaction."""
