"""What a sweep leaves: its store, and what can be read from it."""
