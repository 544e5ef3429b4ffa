"""The registry: names and their prefix guard, references, and the connection."""
