"""Codes of a cell's regime and of its status, as results store them."""

import numpy as np
from jaxtyping import Int

NAMES = ("spike", "oscillation", "divergence", "converged", "descending")
"""Regimes by code: 0, 1, ..."""
UNLABELLED = -1
"""Code of a cell that has no label: it was not computed, or its loss fell below its minimum."""
UNRESOLVED = len(NAMES)
"""Code of a flow's cell whose solver stopped before the final time."""
NO_REGIME = {UNRESOLVED: "unresolved", UNLABELLED: "unlabelled"}
"""Names of the codes that are not a regime."""
CODE_NAMES = {
    UNLABELLED: NO_REGIME[UNLABELLED],
    **dict(enumerate(NAMES)),
    UNRESOLVED: NO_REGIME[UNRESOLVED],
}
"""Names of all codes, in ascending order of the code."""

MISSING = 0
"""`status` of a cell that has no result yet."""
COMPUTED = 1
"""`status` of a cell that was run."""
INFERRED = 2
"""`status` of a cell that a refined sweep labelled from computed cells around it."""

Labels = Int[np.ndarray, "*grid"]
"""A code for every cell of a grid."""


def name_of(code: int | np.integer) -> str:
    """Return the name of a code: a regime, "unlabelled" or "unresolved"."""
    return CODE_NAMES[int(code)]
