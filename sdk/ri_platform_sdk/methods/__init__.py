"""The methods of `Client`, one module a subject."""
