"""Sweeps as matplotlib figures."""

from .diagram import comparison as comparison
from .diagram import phase_diagram as phase_diagram
from .multiples import probability_diagram as probability_diagram
from .multiples import small_multiples as small_multiples
from .variable import variable_map as variable_map
