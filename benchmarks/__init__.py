"""Benchmarks: phasejax against what else one could use, and against what the machine can do."""
