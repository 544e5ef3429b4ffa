"""Measurements: each module makes one table of docs/performance.md."""
