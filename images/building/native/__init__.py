"""Native libraries: what ELF files need, what layers and base provide, and what is missing in an image."""
