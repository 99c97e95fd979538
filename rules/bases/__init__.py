"""Bases from elsewhere: registries, layouts and archives, the Docker daemon."""
