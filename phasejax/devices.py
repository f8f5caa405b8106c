"""Local devices: on a machine without an accelerator, one per processor core."""

import os

import jax


def use_all_cores() -> None:
    """Make JAX see every processor core as a device; call it before JAX computes anything.

    `sweep` spreads cells over JAX's devices, and by default JAX takes all cores together as one,
    which small batches can't fill. For scripts and the command line: it sets
    `jax_num_cpu_devices` for the whole process. Where the number of CPU devices has been chosen
    already (`jax_num_cpu_devices`, or `--xla_force_host_platform_device_count` in `XLA_FLAGS`)
    it leaves that as it is. Raises a `RuntimeError` if JAX has started.
    """
    forced = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if forced or getattr(jax.config, "jax_num_cpu_devices", -1) >= 0:
        return
    jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))
