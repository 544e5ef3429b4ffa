"""Sandboxes: where code of strangers, and package systems, run."""
