"""Tags for templates of pages that belong to workspaces and show something of images."""
