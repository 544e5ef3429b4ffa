"""The trial of a finished image: its libraries are imported in a sandbox upon its own files."""
