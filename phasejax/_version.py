"""The version of the installed package, which `pyproject.toml` sets."""

import importlib.metadata

__version__: str = importlib.metadata.version("phasejax")
