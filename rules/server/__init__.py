"""A tritonserver on this machine."""
