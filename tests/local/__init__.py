"""Tests of `make run`: installation, supervisor, local AWS."""
