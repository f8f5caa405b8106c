"""Dask as an executor: every worker runs one task at a time, on its own share of the machine."""

from collections.abc import Awaitable
from concurrent.futures import Executor
from typing import Any

from .._check import MissingExtra, bad
from ..devices import use_all_cores, use_compilation_cache

try:
    from distributed import Client, Worker, WorkerPlugin
except ModuleNotFoundError as error:
    raise MissingExtra("a Dask scheduler", "cluster") from error

TASK = "phasejax_task"
"""A Dask resource: every worker has one, and every task needs one."""
TIMEOUT = "10s"
"""How long to wait for the scheduler's answer."""


def connect(scheduler: str) -> Client:
    """Connect to a running scheduler, `tcp://HOST:PORT`; raises a `ValueError` if none answers."""
    try:
        return Client(scheduler, timeout=TIMEOUT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise bad("scheduler", scheduler, f"the address of a Dask scheduler: {error}") from error


def executor_of(client: Client) -> Executor:
    """Return an executor of a client's workers, including those that join later."""
    client.register_plugin(OneTaskPerWorker())
    return client.get_executor(resources={TASK: 1})


class OneTaskPerWorker(WorkerPlugin):
    """Gives a worker one task at a time, and JAX as many processor cores as the worker has.

    Accelerators are those that the worker's process sees (`CUDA_VISIBLE_DEVICES`); all of them
    work on its task.
    """

    name = "phasejax"

    def setup(self, worker: Worker) -> Awaitable[Any]:
        """Set up a worker when it joins, before JAX starts in its process."""
        use_all_cores(worker.state.nthreads)
        use_compilation_cache()
        return worker.set_resources(**{TASK: 1})
