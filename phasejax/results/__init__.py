"""Results of sweeps: the store, and what is read from it."""
