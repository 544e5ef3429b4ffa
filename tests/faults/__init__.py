"""The fault suite: an instance whose parts are killed and cut off, and a verifier after each run."""
