"""How inputs are tried at random: a few fixed examples, or as many as are asked for."""

import os

from hypothesis import HealthCheck, settings

fuzz = settings(
    max_examples=int(os.environ.get("PHASEJAX_FUZZ", "15")),
    deadline=None,
    derandomize="PHASEJAX_FUZZ" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)
