"""What pins packages: files, the commands that install, projects; and which pins cannot hold together. Pure."""
