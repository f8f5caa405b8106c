"""Features of loss curves, and the rule that turns them into regimes."""

from .classify import LABELS as LABELS
from .classify import classify as classify
from .classify import classify_envelope as classify_envelope
from .classify import label_attributes as label_attributes
from .classify import regime_counts as regime_counts
from .codes import NAMES as NAMES
from .codes import NO_REGIME as NO_REGIME
from .codes import UNLABELLED as UNLABELLED
from .codes import UNRESOLVED as UNRESOLVED
from .codes import name_of as name_of
from .curve import Regime as Regime
from .curve import Spike as Spike
from .curve import classify_curve as classify_curve
