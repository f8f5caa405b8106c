"""The base of what is compiled: how cells start, and how they advance."""

import abc
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PyTree


class Program(abc.ABC):
    """Pure functions of a cell that the engine maps over cells and compiles.

    A program is hashable, and equal to another one only if both compute the same. Numbers that
    may change without compiling again are arguments: `fixed` and `hyper` are hyper-parameters by
    name, the same for all cells or one per cell.
    """

    @abc.abstractmethod
    def start(self, hyper: Mapping[str, Any], params: PyTree, noise: PyTree = ()) -> PyTree:
        """Return the state of one cell at its start.

        `noise` is a `Noise` if the cell draws random numbers, and `()` otherwise.
        """

    @abc.abstractmethod
    def advance(
        self,
        loss: Any,
        fixed: Mapping[str, Any],
        hyper: Mapping[str, Any],
        state: PyTree,
        portion: PyTree,
    ) -> tuple[PyTree, PyTree]:
        """Advance cells; `hyper`, `state` and what is returned have a leading axis `[cells]`.

        `portion` says how far, and is returned by `Dynamics.portion`. Returns the new state and the
        envelope of the windows that were completed, or `()` if the state holds it.
        """

    @abc.abstractmethod
    def params_of(self, state: PyTree) -> PyTree:
        """Return the parameters that a state holds."""

    def ended(self, loss: Any, hyper: Mapping[str, Any], state: PyTree) -> Bool[Array, ""]:
        """Say whether the loss of one cell can no longer change.

        The engine asks only for cells whose last window has only zeros, or no finite loss.
        """
        del loss, hyper, state
        return jnp.zeros((), bool)

    def stopped(self, state: PyTree, last: int) -> str:
        """Say why the first cell of a state stopped before the end of window `last` − 1, or ""."""
        del state, last
        return ""

    def take_over(self, state: PyTree) -> PyTree:
        """Convert the state that an earlier program of the dynamics left, for this one."""
        return state


def start_cells(
    program: Program,
    fixed: Mapping[str, Any],
    hyper: Mapping[str, Any],
    params: PyTree,
    noise: PyTree,
) -> PyTree:
    """Start cells by `Program.start`: all but `fixed` have a leading axis `[cells]`."""
    return jax.vmap(lambda hyper, *cell: program.start({**fixed, **hyper}, *cell))(
        hyper, params, noise
    )


def ended_cells(
    program: Program, loss: Any, fixed: Mapping[str, Any], hyper: Mapping[str, Any], state: PyTree
) -> Any:
    """Answer `Program.ended` for cells: `hyper` and `state` have a leading axis `[cells]`."""
    return jax.vmap(lambda hyper, state: program.ended(loss, {**fixed, **hyper}, state))(
        hyper, state
    )
