"""Tests with real parts. Folders that mirror the source are not listed; these cut across it."""
