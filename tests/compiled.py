"""A count of compiled programs, which JAX keeps without a public name."""

from typing import Any

from phasejax.engine import kernel


def programs() -> int:
    """How many programs of the engine's kernel this process has compiled so far."""
    advance: Any = kernel.advance
    return advance._cached._cache_size()
