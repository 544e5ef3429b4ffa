"""`ri-images`: managed images from the command line."""

from ri_platform_sdk.cli.app import main

__all__ = ["main"]
