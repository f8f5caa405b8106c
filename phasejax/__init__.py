"""Phase diagrams of optimizer dynamics.

    Problem + dynamics + Grid -> sweep -> loss envelopes -> regimes -> figures

Public names stand here; everything else is an implementation.
"""

from . import problems as problems
from .devices import use_all_cores as use_all_cores
from .dynamics import Discrete as Discrete
from .dynamics import adam as adam
from .dynamics import rmsprop as rmsprop
from .grid import Axis as Axis
from .grid import Grid as Grid
from .grid import linear_axis as linear_axis
from .grid import log_axis as log_axis
from .info import cell as cell
from .info import summary as summary
from .page import write_page as write_page
from .plot import phase_diagram as phase_diagram
from .problems import Problem as Problem
from .regimes import Regime as Regime
from .regimes import classify as classify
from .regimes import classify_curve as classify_curve
from .regimes import regime_counts as regime_counts
from .store import open_dataset as open_dataset
from .sweep import sweep as sweep
