"""The methods of `Client`, a module for each subject."""
