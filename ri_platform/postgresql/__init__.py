"""Django's PostgreSQL backend, with limits of sessions and a check of kept connections that asks nothing."""
