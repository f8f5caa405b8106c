"""The minimum of a problem is subtracted from the loss before classification."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import phasejax as pj
from phasejax.regimes import NAMES

from .compiled import programs

BOWL = pj.problems.quadratic((1.0, 0.1), (1.0, 1.0))
VALUES = {"a": [1.0, 10.0], "b": [9.0, 90.0], "learning_rate": 1e-2}
LENGTH: dict[str, Any] = {"steps": 3000, "windows": 32}


def raised(by, minimum, batch_loss=None):
    return pj.Problem(
        lambda x: BOWL.loss(x) + by, BOWL.init, "raised", minimum=minimum, batch_loss=batch_loss
    )


def regimes(dataset):
    return [NAMES[code] for code in np.ravel(dataset.regime)]


@pytest.mark.parametrize("by", [0.5, -3.0])
def test_a_constant_added_to_a_quadratic_changes_no_label(by):
    """Unless the loss comes near the rounding of the constant; here it does not."""
    plain = pj.sweep(BOWL, pj.adam, pj.Grid(**VALUES), **LENGTH)
    high = pj.sweep(raised(by, by), pj.adam, pj.Grid(**VALUES), **LENGTH)
    late = plain.log10_loss_mean.values > -10
    assert late.any()
    np.testing.assert_allclose(high.loss_mean, plain.loss_mean + by, rtol=1e-12)
    np.testing.assert_allclose(
        high.log10_loss_mean.values[late], plain.log10_loss_mean.values[late], atol=1e-3
    )
    deep = plain.late_level.values < -10
    agree = plain.regime.values == high.regime.values
    assert (agree | deep).all()
    assert high.attrs["minimum"] == by
    assert regimes(pj.classify(high)) == regimes(high)
    assert "minimum" in pj.summary(high)


def test_the_label_of_a_sweep_is_that_of_its_curve():
    grid, problem = pj.Grid(learning_rate=[0.1]), raised(0.5, 0.5)
    path = pj.trajectory(problem, optax.adam, steps=np.arange(3000), learning_rate=0.1)
    curve = path**2 @ np.array([0.5, 0.05]) + 0.5
    for minimum, low, high in ((None, -2, -1), (0.5, -401, -3)):
        dataset = pj.sweep(raised(0.5, minimum), optax.adam, grid, **LENGTH)
        found = pj.classify_curve(curve, minimum)
        assert regimes(dataset) == [str(found)]
        assert low < float(dataset.late_level[0]) < high


def test_another_minimum_does_not_compile_again():
    def loss(x):
        return BOWL.loss(x) + 0.5

    grid, made = pj.Grid(**VALUES), []
    for minimum in (0.25, 0.5):
        problem = pj.Problem(loss, BOWL.init, "raised", minimum=minimum)
        pj.sweep(problem, pj.adam, grid, **LENGTH)
        made.append(programs())
    assert made[0] == made[1]
    assert pj.Problem(loss, BOWL.init, minimum=0.0).objective is loss


def test_mini_batches_and_a_minimum_go_together():
    noisy = raised(0.5, 0.5, lambda x, key: BOWL.loss(x) + 0.5)
    plain = raised(0.5, 0.5)
    one, two = (pj.sweep(p, pj.adam, pj.Grid(**VALUES), **LENGTH) for p in (noisy, plain))
    np.testing.assert_allclose(one.log10_loss_mean, two.log10_loss_mean)


def test_a_flow_is_classified_over_its_minimum():
    values = {"a": [1.0], "b": [3.0], "eps_root": 1e-2}
    plain, high = (
        pj.sweep(p, pj.Flow(pj.adam_flow, solver="bosh3"), pj.Grid(**values), time=10.0, windows=16)
        for p in (BOWL, raised(-2.0, -2.0))
    )
    np.testing.assert_allclose(high.log10_loss_mean, plain.log10_loss_mean, atol=1e-3)
    assert regimes(high) == regimes(plain)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.filterwarnings("ignore:dtype")
def test_a_loss_within_the_rounding_of_the_minimum_counts_as_zero(dtype):
    """0.1 + x² ends at 0.1, rounded to the dtype, which does not count as below the minimum."""
    problem = pj.Problem(lambda x: 0.1 + x**2, lambda key: jnp.asarray(1.0), minimum=0.1)
    dataset = pj.sweep(problem, optax.sgd, pj.Grid(learning_rate=[0.4]), dtype=dtype, **LENGTH)
    assert regimes(dataset) == ["converged"]
    assert dataset.log10_loss_mean[0, -1] == -np.inf


def test_cells_that_fall_below_are_counted():
    with pytest.warns(RuntimeWarning, match="4 of 4 computed cells are unlabelled: .*minimum 0.75"):
        dataset = pj.sweep(raised(0.5, 0.75), pj.adam, pj.Grid(**VALUES), **LENGTH)
    assert (dataset.regime == -1).all()


@pytest.mark.parametrize("by", [0.5, -3.0])
def test_a_minimum_that_is_not_known_is_estimated(by):
    """The estimate lies below every loss, and adding a constant changes no label."""
    low, high = (
        pj.sweep(raised(c, None), pj.adam, pj.Grid(**VALUES), **LENGTH) for c in (by, by + 100)
    )
    assert (low.estimated_minimum < low.loss_min.min("window")).all()
    np.testing.assert_allclose(high.estimated_minimum, low.estimated_minimum + 100, rtol=1e-6)
    assert regimes(low) == regimes(high) == regimes(pj.classify(low))
    assert "minimum" not in low.attrs


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_losses_of_any_size_are_classified_without_a_warning():
    dataset = pj.sweep(raised(-3.0, None), pj.adam, pj.Grid(**VALUES), **LENGTH)
    losses = 10.0 ** np.random.default_rng(0).uniform(150, 300, dataset.loss_mean.shape)
    huge = {name: losses for name in ("loss_min", "loss_max", "loss_mean")}
    huge["log10_loss_mean"] = np.log10(losses)
    wild = dataset.assign({name: dataset[name].copy(data=x) for name, x in huge.items()})
    assert (pj.classify(wild).regime >= 0).all()


@pytest.mark.parametrize(
    ("by", "minimum", "message"),
    [
        (-3.0, -1.0, "is -2.45 at the start of seed 0, below the problem's minimum -1"),
        (0.0, 2.0, "below the problem's minimum 2"),
    ],
)
def test_a_start_below_the_minimum_is_refused(by, minimum, message):
    with pytest.raises(ValueError, match=message):
        pj.sweep(raised(by, minimum), pj.adam, pj.Grid(**VALUES), **LENGTH)


@pytest.mark.parametrize("minimum", [float("nan"), float("inf"), True])
def test_a_minimum_is_a_finite_number(minimum):
    with pytest.raises(ValueError, match=r"minimum = .*must be a finite number"):
        raised(0.0, minimum)


def test_pictures_and_pages_show_the_loss_over_its_minimum(tmp_path):
    dataset = pj.sweep(raised(-3.0, -3.0), pj.adam, pj.Grid(**VALUES), **LENGTH)
    labels = [axes.get_ylabel() for axes in pj.phase_diagram(dataset, late_loss=True).axes]
    assert any("loss − (-3)" in label for label in labels)
    page = pj.write_page(dataset, tmp_path / "page.html").read_text("utf-8")
    assert "(-3)" in page


def cross_entropy(rows, dtype):
    """Softmax regression on mini-batches of digits, a tenth of them mislabelled.

    The recorded loss is that of `rows` other digits.
    """
    from sklearn.datasets import load_digits

    inputs, targets = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(targets))
    inputs, targets = inputs[order] / 16, targets[order]
    targets[::10] = (targets[::10] + 1) % 10

    def loss(x, y, params):
        log_p = jax.nn.log_softmax(x @ params["w"] + params["c"])
        return -jnp.take_along_axis(log_p, y[:, None], 1).mean()

    def batch_loss(x, y, params, key, step):
        drawn = (64 * step + jnp.arange(64)) % len(y)
        return loss(x[drawn], y[drawn], params)

    def init(key):
        return {"w": jax.random.normal(key, (64, 10)) / 8, "c": jnp.zeros(10)}

    inputs, trained, tested = inputs.astype(dtype), slice(1000), slice(1000, 1000 + rows)
    problem = pj.Problem(
        jax.tree_util.Partial(loss, inputs[tested], targets[tested]),
        init,
        batch_loss=jax.tree_util.Partial(batch_loss, inputs[trained], targets[trained]),
    )
    grid = pj.Grid(a=[3, 30], b=[0.3, 30, 99], learning_rate=3e-3)
    return pj.sweep(problem, pj.adam, grid, steps=3000, dtype=dtype)


@pytest.mark.filterwarnings("ignore:dtype")
def test_labels_of_cross_entropy_do_not_depend_on_rows_or_dtype():
    """Cells at rest and cells that diverge keep their labels, each over a floor of its own."""
    few, many = cross_entropy(32, "float64"), cross_entropy(300, "float32")
    assert regimes(few) == regimes(many) == ["divergence", "converged", "converged"] * 2
    rest = many.isel(b=[1, 2])
    assert (rest.estimated_minimum < rest.loss_min.min("window")).all()
    assert (rest.estimated_minimum > few.estimated_minimum.isel(b=[1, 2]) + 0.05).all()
