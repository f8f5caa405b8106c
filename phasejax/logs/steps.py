"""The step of each loss, in the order in which the run was continued."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from .content import Columns

RESTARTS = 2
"""A column that goes back or stands still more often, and loses half of its rows, is no step."""


class Cleaned(NamedTuple):
    """A curve by step, and what it took.

    - `curve`: `[steps]`; its index increases.
    - `repeated`: rows left out because the next row has the same step.
    - `restarts`: how often the step goes back.
    - `dropped`: rows left out because the run was continued from an earlier step.
    """

    curve: pd.Series
    repeated: int
    restarts: int
    dropped: int


def choose(columns: Columns, names: Iterable[str], loss: str) -> str | None:
    """Return the first column of `names` that can be the step of a loss; None if there is none."""
    for name in names:
        may_repeat = "epoch" not in name.lower()
        if name != loss and _fits(columns[name], columns[loss], may_repeat):
            return name
    return None


def _fits(step: pd.Series, loss: pd.Series, may_repeat: bool) -> bool:
    """Whether every loss has a step, and few steps go back or stand still.

    Rows of one epoch are not repeated: they have other losses.
    """
    at = _without_copies(step.reindex(loss.index), loss)
    if not np.isfinite(at).all():
        return False
    if not may_repeat and (np.diff(at) == 0).any():
        return False
    unsteady = int(np.count_nonzero(np.diff(at) <= 0))
    return unsteady <= RESTARTS or 2 * int(_continued(at).sum()) > len(at)


def by_step(loss: pd.Series, step: pd.Series | None) -> Cleaned:
    """Give each loss its step, without the rows that a restart made void.

    Without a step, losses are counted. A loss without a step is left out.
    """
    if step is None:
        return Cleaned(pd.Series(loss.to_numpy(), np.arange(float(len(loss)))), 0, 0, 0)
    at, losses = step.reindex(loss.index).to_numpy(), loss.to_numpy()
    known = np.isfinite(at)
    at, losses = at[known], losses[known]
    kept = _continued(at)
    back = np.diff(at) < 0
    repeated = int(np.count_nonzero(np.diff(at) == 0))
    dropped = int(np.count_nonzero(~kept)) - repeated
    curve = pd.Series(losses[kept], at[kept])
    return Cleaned(curve, repeated, int(np.count_nonzero(back)), max(dropped, 0))


def _continued(step: Float[np.ndarray, " rows"]) -> Bool[np.ndarray, " rows"]:
    """Whether no later row has the same or an earlier step."""
    later = np.minimum.accumulate(step[::-1])[::-1]
    return np.r_[step[:-1] < later[1:], np.ones(min(len(step), 1), bool)]


def _without_copies(step: pd.Series, loss: pd.Series) -> Float[np.ndarray, " rows"]:
    """Return the steps without rows that repeat the row before: several processes wrote them."""
    at, losses = step.to_numpy(), loss.to_numpy()
    same = (at[1:] == at[:-1]) & ((losses[1:] == losses[:-1]) | np.isnan(losses[1:]))
    return at[np.r_[True, ~same][: len(at)]]
