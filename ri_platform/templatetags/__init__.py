"""Tags and filters that the templates of the console share."""
