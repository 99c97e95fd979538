"""What shared libraries need and give, and how they are found, without the dynamic linker."""
