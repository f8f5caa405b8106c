"""The period of a loss curve, step by step, from its power spectrum."""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import signal

from .._check import bad, positive

DROPPED = 0.2
"""Share of the curve that is left out at its start."""
LEAST_LOSS = 1e-12
"""Added to the loss before the logarithm."""
CUTOFF = 0.05
"""Frequency of the low-pass, per step: periods of less than 20 steps are damped."""
ORDER = 3
"""Order of the low-pass, which runs forward and backward."""
PROMINENCE = 0.02
"""Least prominence of a peak of the spectrum, over the largest value of the spectrum."""
SEGMENTS = 4
"""Length of what is kept, in segments of the spectrum."""
FINER = 8
"""Frequencies of the spectrum, over those that a segment resolves."""
ALIKE = 1.25
"""Largest ratio of two periods that are the same."""
ROUNDING = 1e-9
"""A curve whose standard deviation is less than this share of its mean is constant."""
LEAST_LOSSES = 64
"""Fewest losses of a curve that is accepted."""

Curve = Float[np.ndarray, " steps"]


def welch_period(loss: ArrayLike, every: float = 1.0) -> float:
    r"""Return the period of a loss curve in steps, or nan if it has none.

    Spikes may be nearer to each other than a window of a stored sweep is long. This is how arXiv
    2609.18314, appendix B.2, measures their period from the loss L of every step:

    1. Drop the first 20 %, and take $\log_{10}(L + 10^{-12})$.
    2. Smooth it by a Butterworth low-pass of third order with the cutoff 0.05 per step, forward and
        backward, so that nothing is shifted. Go back to the loss, and subtract the mean.
    3. Compute Welch's estimate of the power spectrum, here from Hann windows of a quarter of what
        is kept, half overlapping.
    4. Of its peaks with a frequency above one per segment and a prominence of at least 2 % of the
        largest power, the highest has the period.

    Noise has a strongest frequency too. So, other than there, the two halves of what is kept must
    have the same period to within a factor of 1.25. Of white noise, one curve in twenty still does.

    **Arguments:**

    - `loss`: `[steps]`, at least 64 losses of one run, none negative: what `phasejax.replay`
        returns, or a column of a log. Subtract a known minimum.
    - `every`: steps from one loss to the next, of a log that does not have every loss. From 10 on,
        nothing is smoothed.

    Returns nan for a curve that is constant or falls steadily, holds a single spike, has irregular
    spikes, or is not finite. Periods longer than a fifth of the run are not found, those longer
    than a fifteenth may be off by more than 5 %, and those of less than 20 steps are found only if
    nothing slower is as strong. Losses far below 1e-12 count as zero. A fall from the height of the
    spikes or beyond hides them, if it goes on after 20 % of the run: give the later part alone.

    Raises a `ValueError` for another shape, negative losses, and `every` not greater than 0.

    ```python
    run = pj.replay(dataset, problem, a=3, b=300)
    print(pj.welch_period(run["loss"]))
    ```
    """
    losses = _checked(loss)
    positive("every", every)
    if not np.isfinite(losses).all():
        return np.nan
    curve = _smooth(losses[int(DROPPED * len(losses)) :], every)
    half, segment = len(curve) // 2, len(curve) // SEGMENTS
    found = [_strongest(part, segment) for part in (curve, curve[:half], curve[half:])]
    alike = np.max(found) <= ALIKE * np.min(found)  # not if one is nan
    return found[0] * float(every) if alike else np.nan


def _checked(loss: ArrayLike) -> Curve:
    losses = np.asarray(loss)
    if losses.ndim != 1 or len(losses) < LEAST_LOSSES:
        raise bad("loss.shape", losses.shape, f"[steps] with at least {LEAST_LOSSES} steps")
    if losses.dtype.kind not in "fiu":
        raise bad("loss.dtype", str(losses.dtype), "real numbers")
    if (losses < 0).any():
        allowed = "at least 0; subtract the smallest value that the loss can have"
        raise bad("loss.min()", float(np.nanmin(losses)), allowed)
    return losses.astype(np.float64)


def _smooth(losses: Curve, every: float) -> Curve:
    """Losses without what is faster than the cutoff, if they resolve it."""
    level = np.log10(losses + LEAST_LOSS)
    if CUTOFF * every < 0.5:
        low_pass = signal.butter(ORDER, CUTOFF * every, fs=1.0, output="sos")
        level = signal.sosfiltfilt(low_pass, level)
    return 10**level


def _strongest(curve: Curve, segment: int) -> float:
    """Period of the highest peak of the spectrum, in losses; nan without a peak."""
    if curve.std() <= ROUNDING * curve.mean():
        return np.nan
    swing = curve - curve.mean()
    frequency, power = signal.welch(swing, nperseg=segment, nfft=FINER * segment)
    peaks, _ = signal.find_peaks(power, prominence=PROMINENCE * power.max())
    peaks = peaks[frequency[peaks] > 1 / segment]
    return float(1 / frequency[peaks[power[peaks].argmax()]]) if len(peaks) else np.nan
