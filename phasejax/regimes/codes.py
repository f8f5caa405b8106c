"""Codes of a cell's regime and of its status, as they stand in results."""

import numpy as np
from jaxtyping import Int

NAMES = ("spike", "oscillation", "divergence", "converged", "descending")
"""Regimes by code: 0, 1, ..."""
UNLABELLED = -1
"""Code of a cell that has no label: it was not computed, or its loss fell below its minimum."""
UNRESOLVED = len(NAMES)
"""Code of a flow's cell whose solver stopped before the final time."""
NO_REGIME = {UNRESOLVED: "unresolved", UNLABELLED: "unlabelled"}
"""Names of the codes that are no regime."""

MISSING, COMPUTED, INFERRED = 0, 1, 2
"""Where a cell's regime is from: `status` in results."""

Labels = Int[np.ndarray, "*grid"]
"""A code for every cell of a grid."""
