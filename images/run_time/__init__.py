"""Run-time settings of an image: environment variables, working folder, user, entry point, labels."""
