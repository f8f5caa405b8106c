"""How one cell moves: optimizers, flows, and the base of both."""

from .adam import adam as adam
from .adam_decays import adam_decays as adam_decays
from .adam_flow import adam_flow as adam_flow
from .base import Cost as Cost
from .base import Dynamics as Dynamics
from .central_flow import CentralFlow as CentralFlow
from .central_flow import central_flow as central_flow
from .central_flow import stable_flow as stable_flow
from .flow import Flow as Flow
from .names import BUILT_IN as BUILT_IN
from .names import FLOWS as FLOWS
from .names import as_dynamics as as_dynamics
from .names import by_name as by_name
from .optimizer import Optimizer as Optimizer
from .rmsprop import rmsprop as rmsprop
from .rmsprop_flow import rmsprop_flow as rmsprop_flow
from .rod_flow import RodFlow as RodFlow
from .rod_flow import rod_flow as rod_flow
from .scalar_rmsprop import scalar_rmsprop as scalar_rmsprop
from .schedules import scheduled as scheduled
from .signgd_flow import signgd_flow as signgd_flow
from .slow_rule import SlowRule as SlowRule
from .steps import Steps as Steps
