"""Sandboxes for foreign code and package systems: OS packages, source builds."""
