"""Pages of the console for workspaces, members, accounts and tokens."""
