"""Tests of the Markdown pages: commands, examples, links, names, the map in CONTRIBUTING.md."""
