"""Verbs that change people's data: accounts, members, tokens, the organization."""
