"""Executors that may run tasks: those of `concurrent.futures`, and a client of Dask."""

from concurrent.futures import Executor
from typing import Any


def as_executor(executor: Any) -> Executor | None:
    """Return an executor as it is, and the executor of a Dask client.

    Raises a `TypeError` for anything else, and a `ValueError` for a pool of forked processes, in
    which JAX deadlocks.
    """
    if executor is None or isinstance(executor, Executor):
        _check_start(executor)
        return executor
    if type(executor).__module__.startswith("distributed"):
        from .cluster import executor_of

        return executor_of(executor)
    raise TypeError(
        f"executor = {executor!r} must be a concurrent.futures.Executor or a distributed.Client"
    )


def _check_start(executor: Executor | None) -> None:
    """Refuse a pool whose processes are forks of this one."""
    # The attribute's name in concurrent.futures, and in loky.
    context = getattr(executor, "_mp_context", getattr(executor, "_context", None))
    method = getattr(context, "get_start_method", lambda: None)()
    if method == "fork":
        kind = type(executor).__name__
        allowed = "a pool whose processes JAX can run in: "
        allowed += f'{kind}(2, mp_context=multiprocessing.get_context("spawn"))'
        raise ValueError(f"executor = {kind} with the start method 'fork': must be {allowed}")
