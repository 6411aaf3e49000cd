"""What all packages share: errors, text, settings, registries, files, command lines, clusters."""
