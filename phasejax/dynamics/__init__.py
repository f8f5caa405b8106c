"""How one cell evolves."""

from .adam import adam as adam
from .adam_flow import adam_flow as adam_flow
from .discrete import Discrete as Discrete
from .flow import Flow as Flow
from .names import BUILT_IN as BUILT_IN
from .names import FLOWS as FLOWS
from .names import by_name as by_name
from .rmsprop import rmsprop as rmsprop
from .rmsprop_flow import rmsprop_flow as rmsprop_flow
from .signgd_flow import signgd_flow as signgd_flow
from .vector_field import VectorField as VectorField
