"""Probes: what is measured along a run besides its loss. One probe per file."""

from .base import End as End
from .base import Probe as Probe
from .base import Quantity as Quantity
from .base import Step as Step
from .cosine import Cosine as Cosine
from .edge import RealisedEdge as RealisedEdge
from .lyapunov import Lyapunov as Lyapunov
from .moments import Moments as Moments
from .names import BUILT_IN as BUILT_IN
from .norms import Norms as Norms
from .period import Period as Period
from .predictor import SpikePredictor as SpikePredictor
from .ranges import PerStep as PerStep
from .sharpness import Sharpness as Sharpness
