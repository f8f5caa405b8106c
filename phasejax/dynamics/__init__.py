"""How one cell evolves."""

from ..ode.vector_field import VectorField as VectorField
from .adam import adam as adam
from .adam_flow import adam_flow as adam_flow
from .flow import Flow as Flow
from .names import BUILT_IN as BUILT_IN
from .names import FLOWS as FLOWS
from .names import by_name as by_name
from .optimizer import Discrete as Discrete
from .rmsprop import rmsprop as rmsprop
from .rmsprop_flow import rmsprop_flow as rmsprop_flow
from .signgd_flow import signgd_flow as signgd_flow
