"""What a process asks of JAX before it computes. Importing phasejax does none of it."""

import os

import jax
import platformdirs

from ._check import bad
from ._platform import usable_cores


def use_all_cores(cores: int | None = None) -> None:
    """Make JAX see every processor core as a device; call it before JAX computes anything.

    `cores` is their number, by default all that the process may use.

    `sweep` spreads cells over JAX's devices, and by default JAX takes all cores together as one,
    which small batches can't fill. For scripts and the command line: it sets
    `jax_num_cpu_devices` for the whole process. Where the number of CPU devices has been chosen
    already (`jax_num_cpu_devices`, or `--xla_force_host_platform_device_count` in `XLA_FLAGS`)
    it leaves that as it is. Raises a `RuntimeError` if JAX has started.
    """
    forced = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if forced or getattr(jax.config, "jax_num_cpu_devices", -1) >= 0:
        return
    jax.config.update("jax_num_cpu_devices", cores or usable_cores())


def use_compilation_cache() -> None:
    """Keep compiled programs in the user's cache folder, where the next process finds them.

    For scripts and the command line: it sets `jax_compilation_cache_dir` for the whole process,
    unless that has been chosen already (`JAX_COMPILATION_CACHE_DIR`), and keeps every program,
    also those that compile in less than JAX's default of a second.
    """
    if getattr(jax.config, "jax_compilation_cache_dir", None) is None:
        folder = platformdirs.user_cache_path("phasejax") / "compiled"
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def check_platform() -> None:
    """Start JAX. Raises a `ValueError` if the platform that it was told to use is not there."""
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        chosen = jax.config.jax_platforms  # pyright: ignore[reportAttributeAccessIssue]
        reason = str(error).partition(" (set JAX_PLATFORMS")[0] or "JAX finds no such device"
        allowed = f"a platform of this machine, or left out; {reason}"
        raise bad("JAX_PLATFORMS", chosen, allowed) from error
