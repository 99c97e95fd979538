"""What verifications ask a server, and what they report."""
