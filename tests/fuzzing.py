"""Settings of random tests: a few fixed examples, or `PHASEJAX_FUZZ` random ones."""

import os
from typing import Any

from hypothesis import HealthCheck, settings

EVERY_CHECK: list[Any] = list(HealthCheck)

fuzz = settings(
    max_examples=int(os.environ.get("PHASEJAX_FUZZ", "15")),
    deadline=None,
    derandomize="PHASEJAX_FUZZ" not in os.environ,
    database=None,
    suppress_health_check=EVERY_CHECK,
)
