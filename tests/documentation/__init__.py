"""What every page of the project says is tried: its commands, its examples, its links and its names."""
