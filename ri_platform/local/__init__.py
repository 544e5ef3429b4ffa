"""`make run`: PostgreSQL, a local AWS and all processes on one machine, with no configuration."""
