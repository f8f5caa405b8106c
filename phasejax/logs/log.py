"""What was found in a file."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from .content import Columns
from .steps import by_step


@dataclass(frozen=True, eq=False)
class Log:
    """A training log.

    - `path`: the file.
    - `format`: what the file is, such as `Keras CSV log`.
    - `columns`: its columns of numbers. Each is a `pandas.Series` of the cells that were written,
        by row; a nan in it was written as nan.
    - `step`: the column of the steps; None if losses are counted.
    - `losses`: the columns taken as training loss, one for each run.
    - `others`: the other columns of numbers.
    - `text`: columns of text, which are left out.
    - `notes`: what else was left out, and why.
    """

    path: Path
    format: str
    columns: Columns
    step: str | None
    losses: tuple[str, ...]
    others: tuple[str, ...]
    text: tuple[str, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<Log {self.path}: {self.format}, loss {', '.join(self.losses)} over {self.step}>"

    @property
    def table(self) -> pd.DataFrame:
        """The columns of numbers as one table; empty cells are nan."""
        return pd.DataFrame(dict(self.columns))

    def curve(self, name: str | None = None) -> pd.Series:
        """Return a column by step, without gaps; by default the first training loss.

        Steps increase: of repeated steps the last row is kept, and where the step goes back,
        because the run was continued from a checkpoint, the rows from that step on are replaced.
        """
        name = self.losses[0] if name is None else name
        step = None if self.step is None else self.columns[self.step]
        return by_step(self.columns[name], step).curve.rename(name).rename_axis(self.step or "row")
