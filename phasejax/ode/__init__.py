"""Flows followed by steps of adaptive length."""
