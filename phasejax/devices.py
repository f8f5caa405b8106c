"""Settings of JAX for scripts and the command line. Importing phasejax changes none of them."""

import os
from pathlib import Path

import jax
import platformdirs

from ._check import bad
from ._platform import usable_cores

SMALL_LOOP = "xla_cpu_small_while_loop_byte_threshold"
"""Option of XLA's CPU backend: a loop that touches fewer bytes per iteration becomes one kernel."""
SMALL_LOOP_BYTES = 2**20
"""Takes blocks of toy problems; XLA itself leaves out most loops with matrix products."""


def use_all_cores(cores: int | None = None) -> None:
    """Make JAX fast for sweeps on a CPU; call it before JAX computes anything.

    `cores` is the number of cores, by default all that the process can use.

    - Every core becomes a device of JAX, and `sweep` distributes cells over devices. By default JAX
      has one device for all cores, and a small block of cells does not keep them busy. Nothing
      changes if the number of CPU devices is already set (by `jax_num_cpu_devices`, or by
      `--xla_force_host_platform_device_count` in `XLA_FLAGS`).
    - The loop over the steps of a toy problem is compiled into one kernel, which takes about a
      quarter less time: by default, XLA starts some seven kernels per step. The function adds
      `--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=1048576` to `XLA_FLAGS`
      in the environment, from where JAX and processes started later read it, unless
      `XLA_FLAGS` has that option.

    Both hold for the whole process, so the function is for scripts, notebooks and the command line.
    Raises a `RuntimeError` if JAX has already started.

    ```python
    import phasejax as pj

    pj.use_all_cores()
    ```
    """
    flags = _flags()
    forced = "xla_force_host_platform_device_count" in flags
    if not (forced or getattr(jax.config, "jax_num_cpu_devices", -1) >= 0):
        jax.config.update("jax_num_cpu_devices", cores or usable_cores())
    if SMALL_LOOP not in flags:
        option = f"--xla_backend_extra_options={SMALL_LOOP}={SMALL_LOOP_BYTES}"
        os.environ["XLA_FLAGS"] = f"{flags} {option}".strip()


def _flags() -> str:
    """Return `XLA_FLAGS`, or what is in the file that it names, as XLA reads it."""
    flags = os.environ.get("XLA_FLAGS", "").strip()
    if flags and not flags.startswith("-") and Path(flags).is_file():
        return " ".join(Path(flags).read_text("utf-8").split())
    return flags


def use_compilation_cache() -> None:
    """Store compiled programs in the user's cache folder, from which later processes load them.

    The function sets `jax_compilation_cache_dir` for the whole process, so it is for scripts and
    the command line. It stores every program, including those that compile faster than JAX's
    default threshold of one second. It does nothing if the folder is already set, for example by
    `JAX_COMPILATION_CACHE_DIR`.
    """
    if getattr(jax.config, "jax_compilation_cache_dir", None) is None:
        folder = platformdirs.user_cache_path("phasejax") / "compiled"
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def check_platform() -> None:
    """Start JAX; raises a `ValueError` if the platform in `JAX_PLATFORMS` is not available."""
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        chosen = jax.config.jax_platforms  # pyright: ignore[reportAttributeAccessIssue]
        reason = str(error).partition(" (set JAX_PLATFORMS")[0] or "JAX finds no such device"
        allowed = f"a platform of this machine, or not set; {reason}"
        raise bad("JAX_PLATFORMS", chosen, allowed) from error
