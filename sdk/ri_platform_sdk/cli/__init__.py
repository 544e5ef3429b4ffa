"""`ri-images`: the command line, one module a group of commands."""

from ri_platform_sdk.cli.app import main

__all__ = ["main"]
