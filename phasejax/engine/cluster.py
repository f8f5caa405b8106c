"""Dask as an executor: every worker takes one batch at a time, on its own share of the machine."""

from collections.abc import Awaitable
from concurrent.futures import Executor
from typing import Any

from distributed import Client, Worker, WorkerPlugin

from .._check import bad
from ..devices import use_all_cores, use_compilation_cache

BATCH = "phasejax_batch"
"""The resource of which every worker has one and every batch takes one."""
TIMEOUT = "10s"


def connect(scheduler: str) -> Client:
    """Connect to a running scheduler, `tcp://HOST:PORT`; raises a `ValueError` if none answers."""
    try:
        return Client(scheduler, timeout=TIMEOUT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise bad("scheduler", scheduler, f"the address of a Dask scheduler: {error}") from error


def executor_of(client: Client) -> Executor:
    """Return an executor of a client's workers, present and future."""
    client.register_plugin(OneBatchAWorker())
    return client.get_executor(resources={BATCH: 1})


class OneBatchAWorker(WorkerPlugin):
    """Gives a worker one batch at a time, and JAX as many processor cores as the worker has.

    Accelerators are those that the worker's process sees (`CUDA_VISIBLE_DEVICES`); all of them
    work on its batch.
    """

    name = "phasejax"

    def setup(self, worker: Worker) -> Awaitable[Any]:
        """Set up a worker when it joins, before JAX starts in its process."""
        use_all_cores(worker.state.nthreads)
        use_compilation_cache()
        return worker.set_resources(**{BATCH: 1})
