"""Phase diagrams of optimizer dynamics.

    Problem + dynamics + Grid -> sweep -> loss envelopes -> regimes -> figures

The public names stand in `__init__.pyi`, and each is imported when it is first used, so that
`phasejax --help` need not wait for JAX.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
