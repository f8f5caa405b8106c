"""What the loss of every step of one cell says: `phasejax info --at ... --replay`."""

from typing import TYPE_CHECKING, Any

import numpy as np

import phasejax as pj

from .sweep import set_up

if TYPE_CHECKING:
    import xarray as xr


def replayed(dataset: "xr.Dataset", at: dict[str, Any]) -> dict[str, Any]:
    """Run one cell again, and describe the loss of its steps.

    Raises a `ValueError` for a problem or an optimizer of the user's own, of which a store has no
    more than the name.
    """
    from ..results.rerun import arguments_of

    set_up()  # building a problem may start JAX
    arguments = arguments_of(dataset)
    run = pj.replay(dataset, arguments["problem"], dynamics=arguments["dynamics"], **at)
    loss, minimum = run["loss"].values, dataset.attrs.get("minimum", 0.0)
    spikes = pj.classify_curve(loss, minimum).spikes
    return {
        "same_bits": run.attrs.get("same_bits", "not known"),
        "spikes": len(spikes),
        "first_spike_step": spikes[0].step if spikes else np.nan,
        "lowest_loss_step": int(np.argmin(loss)),
        "highest_loss_step": int(np.argmax(loss)),
        "welch_period": pj.welch_period(np.maximum(loss - minimum, 0)),
    }
