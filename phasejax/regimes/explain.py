"""One sentence that says why a cell spikes or not, from what probes measured."""

import numpy as np
import xarray as xr

from .mechanism import NEAR


def explain(dataset: xr.Dataset, numbers: xr.Dataset) -> str:
    """Say in one sentence how one cell came to the edge of stability, and what that foretold.

    **Arguments:**

    - `dataset`: one cell of a sweep with the probe `sharpness`, `predictor` or both.
    - `numbers`: `mechanism(dataset)`.

    Returns "not measured" for a cell without values, such as one that a refinement inferred.
    """
    parts = _of_edge(dataset, numbers) if "edge_peak" in numbers else []
    parts += _of_predictor(dataset, numbers) if "false_alarms" in numbers else []
    return "; ".join(parts) or "not measured"


def _of_edge(dataset: xr.Dataset, numbers: xr.Dataset) -> list[str]:
    """Say how near the cell came to the edge, and where it was later or what began there."""
    onset, crossing, peak, late, began = (
        float(numbers[name])
        for name in ("edge_onset", "edge_crossing", "edge_peak", "edge_late", "spikes_at_edge")
    )
    if np.isnan(peak):
        return []
    if np.isnan(onset):
        return [f"never came near the edge of stability (at most {_ratio(peak)} of it)"]
    later = "" if np.isnan(late) else f" and was at {_ratio(late)} of it late in the run"
    if np.isnan(crossing):
        return [f"came to {NEAR:g} of the edge of stability at step {onset:,.0f}{later}"]
    reached = f"reached the edge of stability at step {crossing:,.0f}"
    if np.isposinf(dataset["loss_max"].values).any():
        return [f"{reached}, and diverged"]
    spikes = int(dataset["spike_count"].fillna(0))
    if not spikes:
        return [reached + later]
    return [reached, f"{_of(began, spikes, 'spike')} began there"]


def _of_predictor(dataset: xr.Dataset, numbers: xr.Dataset) -> list[str]:
    """Say how many crossings of the predictor came before a spike, and which spikes had none."""
    missed, false, ahead = (
        float(numbers[name]) for name in ("spikes_missed", "false_alarms", "warning_steps")
    )
    if np.isnan(false):
        return []
    crossings = float(numbers["crossings"])
    if crossings:
        true = crossings - false
        steps = f", {_count(ahead, 'step')} ahead" if true and ahead else ""
        of_all = _of(true, crossings, "crossing")
        said = [f"{of_all} of the spike predictor announced a spike{steps}"]
    else:
        said = ["the spike predictor never crossed its threshold"]
    return said + ([f"{_count(missed, 'spike')} came without a crossing"] if missed else [])


def _ratio(value: float) -> str:
    """Write a ratio with two digits after the point, or two digits if it is small."""
    return f"{value:.2g}" if abs(value) < 0.1 else f"{value:.2f}"


def _count(number: float, noun: str) -> str:
    return f"{number:,g} {noun}{'' if number == 1 else 's'}"


def _of(part: float, whole: float, noun: str) -> str:
    """Write "31 of 32 spikes" or "none of 1 spikes"."""
    return f"{f'{part:,.0f}' if part else 'none'} of {whole:,.0f} {noun}s"
