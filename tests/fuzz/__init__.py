"""Fuzzing with hypothesis: what comes from outside is damaged in every way, and ends in our errors alone."""
