"""Programs that were compiled, which JAX keeps without a public name."""

from typing import Any

from phasejax.engine import kernel

ADVANCE: Any = kernel.advance
"""As it is before a test replaces it."""


def programs() -> int:
    """How many programs of the engine's kernel this process has compiled so far."""
    return ADVANCE._cached._cache_size()
