"""Files from elsewhere: where they lie (a module a kind of place) and how they are brought here."""
