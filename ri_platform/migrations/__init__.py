"""Database migrations of the project: queues and the cache table."""
