"""Programs that were compiled, which JAX keeps without a public name."""

from typing import Any

from phasejax.engine import kernel


def programs() -> int:
    """How many programs of the engine's kernel this process has compiled so far."""
    advance: Any = kernel.advance
    return advance._cached._cache_size()


def forget_programs() -> None:
    """Compile what the engine's kernel runs again."""
    advance: Any = kernel.advance
    advance._cached.clear_cache()
