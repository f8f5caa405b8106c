"""Many cells at once: what a sweep is, where its cells sit, and the loops that run them."""
