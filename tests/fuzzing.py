"""Settings of random tests: a few fixed examples, or `PHASEJAX_FUZZ` random ones."""

import os
from typing import Any

from hypothesis import HealthCheck, settings

EVERY_CHECK: list[Any] = list(HealthCheck)
EXPLORING = "PHASEJAX_FUZZ" in os.environ

properties = settings(
    max_examples=int(os.environ.get("PHASEJAX_FUZZ", "50")),
    deadline=None,
    derandomize=not EXPLORING,
)

fuzz = settings(
    max_examples=int(os.environ.get("PHASEJAX_FUZZ", "15")),
    deadline=None,
    derandomize=not EXPLORING,
    database=None,
    suppress_health_check=EVERY_CHECK,
)
