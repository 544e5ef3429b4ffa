"""Database migrations of workspaces."""
