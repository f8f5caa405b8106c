"""Probes: what they measure, and that a sweep stays what it is."""

import functools
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

import phasejax as pj
from phasejax.envelope import Envelope
from phasejax.regimes.codes import COMPUTED

from .serial import interrupt_at

CHEAP = ["norms", "edge", "cosine", "moments"]
ALL = [*CHEAP, "sharpness", "predictor"]


def swept(small, probes, **changes):
    return pj.sweep(**{**small, **changes}, probes=probes)


def along(problem, optimizer, steps):
    """Parameters, gradients, updates and states of a run, from optax in a plain loop."""
    with jax.enable_x64(True):
        params = problem.init(jax.random.key(0))
        state, found = optimizer.init(params), []

        @jax.jit
        def step(params, state):
            value, grads = jax.value_and_grad(problem.loss)(params)
            updates, following = optimizer.update(grads, state, params)
            after = optax.apply_updates(params, updates)
            return (params, value, grads, updates, state), after, following

        for _ in range(steps + 1):
            taken, params, state = step(params, state)
            found.append(jax.tree.map(np.asarray, taken))
        return found


def test_cheap_probes_are_those_of_a_plain_loop():
    """Against optax and NumPy, step by step, with windows of five steps."""
    problem, steps = pj.problems.quadratic(), 40
    grid = pj.Grid(learning_rate=[1e-3, 1e-2], b1=0.5)
    dataset = pj.sweep(problem, optax.adam, grid, steps=steps, windows=8, probes=CHEAP)
    for rate in (1e-3, 1e-2):
        run = along(problem, optax.adam(rate, b1=0.5), steps)
        cell = dataset.sel(learning_rate=rate)

        def per_window(numbers, function, size=5):
            rows = np.reshape(np.array(numbers, float), (-1, size))
            return function(rows, axis=1)

        norms = {
            name: [np.linalg.norm(step[place]) for step in run[:-1]]
            for name, place in (("gradient", 2), ("update", 3), ("parameter", 0))
        }
        for name, values in norms.items():
            for end, function in (("min", np.min), ("max", np.max), ("mean", np.mean)):
                expected = per_window(values, function)
                np.testing.assert_allclose(cell[f"{name}_norm_{end}"], expected, rtol=1e-12)
        grads = np.array([step[2] for step in run])
        unit = grads / np.linalg.norm(grads, axis=1, keepdims=True)
        cosines = [np.nan, *np.sum(unit[1:-1] * unit[:-2], axis=1)]
        np.testing.assert_allclose(
            cell["gradient_cosine_min"], per_window(cosines, np.nanmin), rtol=1e-9
        )
        slope = [float(np.sum(g * u)) for _, _, g, u, _ in run[:-1]]
        rise = np.diff([float(step[1]) for step in run])
        edge = 1 - rise / np.array(slope)
        before = [np.nan, *edge[:-1]]  # a step's edge is counted at the next step
        np.testing.assert_allclose(
            cell["realised_edge_max"], per_window(before, np.nanmax), rtol=1e-6
        )
        roots = [
            np.sqrt(np.asarray(step[4][0].nu) / (1 - 0.999 ** int(step[4][0].count)))
            for step in run[5::5]
        ]
        np.testing.assert_allclose(cell["root_second_moment_min"], np.min(roots, axis=1), rtol=1e-9)


@pytest.mark.parametrize("size", [5, 6])
def test_the_median_second_moment_is_numpys(size):
    problem = pj.problems.quadratic(tuple(np.geomspace(0.1, 1, size)))
    grid = pj.Grid(learning_rate=[1e-3, 1e-2])
    dataset = pj.sweep(problem, optax.adam, grid, steps=40, windows=8, probes=["moments"])
    run = along(problem, optax.adam(1e-2), 40)
    roots = [
        np.sqrt(np.asarray(step[4][0].nu) / (1 - 0.999 ** int(step[4][0].count)))
        for step in run[5::5]
    ]
    found = dataset["root_second_moment_median"].sel(learning_rate=1e-2)
    np.testing.assert_allclose(found, np.median(roots, axis=1), rtol=1e-9)


def test_a_dominating_eigenvalue_leaves_the_others_right():
    """Rounding of the largest, 1e8, is larger than the others are."""
    spectrum = np.array([1e8, *np.linspace(1, 2, 29)])
    problem = pj.problems.quadratic(tuple(spectrum))
    dataset = pj.sweep(
        problem,
        optax.sgd,
        pj.Grid(learning_rate=[1e-10, 1e-9]),
        steps=16,
        windows=8,
        probes=[pj.probes.Sharpness(count=3, products=30)],
    )
    found = dataset.isel(learning_rate=1)
    for name, value in (("sharpness", 1e8), ("sharpness_2", 2.0), ("sharpness_3", spectrum[-2])):
        np.testing.assert_allclose(found[name], 1e-9 * value, rtol=1e-6)


def test_half_the_curvature_along_an_update_is_the_realised_edge():
    """On a quadratic, ζ = −½ ΔᵀHΔ / gᵀΔ; for gradient descent in one dimension ηλ/2."""
    problem = pj.Problem(lambda x: 1.5 * jnp.sum(x**2), lambda key: jnp.ones(1))
    rates = [0.01, 0.2, 0.5]
    dataset = pj.sweep(
        problem, optax.sgd, pj.Grid(learning_rate=rates), steps=16, windows=8, probes=["edge"]
    )
    expected = np.broadcast_to(np.array(rates)[:, None] * 3 / 2, (3, 8))
    np.testing.assert_allclose(dataset["realised_edge_mean"], expected, rtol=1e-9)


def test_probes_leave_the_loss_and_the_labels_alone(small):
    grid = pj.Grid(**small["grid"].axes, seed=[0, 1])
    without, probed = (swept(small, probes, grid=grid) for probes in ([], ALL))
    for name in Envelope._fields:
        np.testing.assert_allclose(probed[name], without[name], rtol=1e-8, atol=1e-14)
    np.testing.assert_array_equal(probed["regime"], without["regime"])
    assert set(probed.data_vars) - set(without.data_vars) == set(probed.attrs["measured"])
    assert "probes" not in without.attrs
    for name in probed.attrs["measured"]:
        assert probed[name].attrs["long_name"]
        assert probed[name].attrs["units"]


def test_a_probed_sweep_is_resumed_refined_and_run_by_workers(small, tmp_path, small_tasks):
    """All with the same bits."""
    probes, axes = ["norms", "sharpness"], ("learning_rate", "momentum")
    rates, momenta = ([pj.linear_axis(0, end, n) for n in (3, 5)] for end in (2.0, 0.9))
    start, fine = (
        pj.Grid(**dict(zip(axes, pair, strict=True))) for pair in zip(rates, momenta, strict=True)
    )
    small |= {"dynamics": optax.sgd, "grid": fine, "block_size": 4}
    whole = swept(small, probes, store=tmp_path / "whole.zarr").load()
    with ThreadPoolExecutor(2) as pool:
        elsewhere = swept(small, probes, store=tmp_path / "pool.zarr", executor=pool).load()
    with pytest.raises(KeyboardInterrupt):
        swept(small, probes, store=tmp_path / "cut.zarr", executor=interrupt_at(3))
    resumed = swept(small, probes, store=tmp_path / "cut.zarr", resume=True).load()
    refined = swept(small, probes, grid=start, refine=5).load()
    computed = refined["status"].values == COMPUTED
    assert 9 < computed.sum() < 25
    for name in whole.attrs["measured"]:
        np.testing.assert_array_equal(elsewhere[name], whole[name])
        np.testing.assert_array_equal(resumed[name], whole[name])
        np.testing.assert_array_equal(refined[name].values[computed], whole[name].values[computed])
    with pytest.raises(ValueError, match="probes differs"):
        swept(small, ["norms"], store=tmp_path / "whole.zarr", resume=True)
    swept(small, ["norms"], store=tmp_path / "whole.zarr", overwrite=True)


def test_gauss_newton_has_no_negative_part():
    """Where the network fits its data, it is the Hessian; elsewhere it differs, and is refused
    for a loss that is not split."""
    probes = [pj.probes.Sharpness(products=30, gauss_newton=True)]
    inputs = np.random.default_rng(0).standard_normal((12, 2))
    grid = pj.Grid(learning_rate=[0.1, 0.2])
    arguments = {"dynamics": optax.sgd, "grid": grid, "steps": 2000, "windows": 200}
    linear = pj.problems.network(inputs, inputs[:, 0], hidden=(3,), activation="linear")
    part = pj.sweep(linear, probes=probes, **arguments)
    whole = pj.sweep(linear, probes=[pj.probes.Sharpness(products=30)], **arguments)
    fitted = whole["loss_max"] < 1e-10
    assert fitted.any(), whole["loss_max"].values
    gap = abs(part["sharpness"] / whole["sharpness"] - 1)
    assert gap.values[fitted.values].max() < 1e-4 < gap.values[:, 0].min()
    with pytest.raises(ValueError, match="gauss_newton = True: must be False: the loss of problem"):
        pj.sweep(pj.problems.quadratic(), probes=probes, **arguments)


def test_adam_on_a_parabola_is_drawn_to_the_edge():
    """Its preconditioned sharpness tends to 2(1 + β)/(η(1 − β)): a theorem of arXiv 2608.20638."""
    problem = pj.problems.quadratic((1.0,), (1.0,))
    grid = pj.Grid(a=[3.0, 10.0, 30.0], b=30.0, learning_rate=1e-3, eps=0.0)
    dataset = pj.sweep(problem, pj.adam, grid, steps=40_000, windows=64, probes=["sharpness"])
    late = dataset["edge_ratio"][:, -16:].mean("window")
    np.testing.assert_allclose(late, 1, atol=0.15)


def test_a_function_of_ones_own_is_a_probe(small):
    """Of parameters, gradient, update and state: a number, or several by name."""

    def first(params, grads, updates, state):
        return params[0]

    def pair(params, grads, updates, state):
        return {"pull": jnp.sum(grads * updates), "age": state.m_weight}

    dataset = swept(small, [first, pair])
    assert {"first_mean", "pull_max", "age_min"} <= set(dataset.attrs["measured"])
    assert (dataset["pull_min"] <= dataset["pull_max"]).all()
    with jax.enable_x64(True):
        start = float(small["problem"].init(jax.random.key(0))[0])
    edge = np.where(start > 0, dataset["first_max"][..., 0], dataset["first_min"][..., 0])
    np.testing.assert_allclose(edge, start, rtol=1e-6)


def test_mini_batches_are_probed():
    """The edge needs the loss of the same batch twice; the sharpness is that of all data."""

    def of_a_batch(x, key):
        return jnp.sum(jax.random.uniform(key, (2,), minval=0.5, maxval=1.5) * x**2)

    problem = pj.Problem(lambda x: jnp.sum(x**2), lambda key: jnp.ones(2), batch_loss=of_a_batch)
    arguments = {"grid": pj.Grid(learning_rate=[0.1, 0.2]), "steps": 64, "windows": 8}
    dataset = pj.sweep(problem, optax.sgd, probes=["edge", "cosine", "sharpness"], **arguments)
    rate = dataset["learning_rate"]
    np.testing.assert_allclose(dataset["sharpness"] / rate, 2)
    low, high = dataset["realised_edge_min"] / rate, dataset["realised_edge_max"] / rate
    assert ((low > 0.5) & (low < high) & (high < 1.5)).all()
    assert low.min() < 0.8 < 1.2 < high.max()
    assert (dataset["gradient_cosine_min"] < dataset["gradient_cosine_max"]).all()


def test_float32_warns_and_finds_nearly_the_same_sharpness():
    arguments = {"grid": pj.Grid(learning_rate=[1e-2, 2e-2]), "steps": 32, "windows": 8}
    problem = pj.problems.quadratic()
    double = pj.sweep(problem, optax.adam, probes=["sharpness"], **arguments)
    with pytest.warns(UserWarning, match="sharpness in float32"):
        single = pj.sweep(problem, optax.adam, probes=["sharpness"], dtype="float32", **arguments)
    np.testing.assert_allclose(single["edge_ratio"], double["edge_ratio"], rtol=1e-3)


def no_reverse(x):
    """A loss that JAX can differentiate once."""

    @jax.custom_vjp
    def square(x):
        return jnp.sum(x**2)

    def back(x, g):
        return (jax.pure_callback(lambda x, g: 2 * g * x, x, x, g),)

    square.defvjp(lambda x: (jnp.sum(x**2), x), back)
    return square(x)


@pytest.mark.parametrize(
    ("probes", "error", "message"),
    [
        (["sharpnes"], ValueError, "probes = 'sharpnes': unknown; did you mean 'sharpness'"),
        ("sharpness", TypeError, "probes = 'sharpness': must be a list"),
        (["norms", "norms"], ValueError, "norms is given twice"),
        ([lambda params: 1.0], TypeError, r"probes = \[<lambda>\] fails on"),
        ([lambda *four: {"all": jnp.ones(3)}], TypeError, "must return real numbers by name"),
        ([lambda *four: {"one": 1j}], TypeError, "must return real numbers by name"),
        ([lambda *four: 1.0], TypeError, "'<lambda>' must be a name"),
    ],
)
def test_wrong_probes_are_named(small, probes, error, message):
    with pytest.raises(error, match=message):
        swept(small, probes)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda x: jnp.sum(jnp.abs(x)), "second derivative of zero"),
        (lambda x: jnp.sum(jnp.sqrt(jnp.abs(x - 1)) ** 3 + x), "second derivative of nan or inf"),
        (no_reverse, "has no second derivative"),
    ],
)
@pytest.mark.parametrize("probe", ["sharpness", "predictor"])
def test_a_loss_without_second_derivatives_is_refused(small, loss, message, probe):
    problem = pj.Problem(loss, lambda key: jnp.ones(2), name="kinked")
    with pytest.raises(
        ValueError, match=f"probes = {probe}: the loss of problem 'kinked'.*{message}"
    ):
        swept(small, [probe], problem=problem)


def test_a_flow_has_no_probes():
    with pytest.raises(TypeError, match=r"probes = \['norms'\]: must be left out for adam_flow"):
        pj.sweep(
            pj.problems.quadratic(),
            pj.adam_flow,
            pj.Grid(a=[1.0, 2.0], b=1.0),
            time=1.0,
            probes=["norms"],
        )


def test_what_an_optimizer_lacks_is_said(small):
    grid = pj.Grid(learning_rate=[0.01, 0.1])
    with pytest.raises(ValueError, match="moments: the optimizer's state has no second moment"):
        swept(small, ["moments"], dynamics=optax.sgd, grid=grid)
    with pytest.raises(
        ValueError, match="predictor: has no threshold for this optimizer: it is not"
    ):
        swept(small, ["predictor"], dynamics=optax.lion, grid=grid)
    dataset = swept(small, ["sharpness"], dynamics=optax.lion, grid=grid)
    assert np.isnan(dataset["edge_ratio"]).all()
    assert "not linear in the gradient" in dataset["edge_ratio"].attrs["long_name"]
    np.testing.assert_allclose(dataset["sharpness"], 1.0, rtol=1e-9)  # of the Hessian itself


def network(params, inputs):
    hidden = jnp.tanh(inputs @ params["w"])
    return jnp.mean((hidden @ params["v"] - jnp.sin(3 * inputs[:, 0])) ** 2)


INPUTS = np.random.default_rng(1).standard_normal((30, 4))
NETWORK = pj.Problem(
    jax.tree_util.Partial(lambda inputs, params: network(params, inputs), INPUTS),
    lambda key: {"w": jax.random.normal(key, (4, 20)) / 2, "v": jnp.ones(20) / 20},
)


@jax.jit
def hessian(params):
    flat, unflatten = ravel_pytree(params)
    return jax.hessian(lambda x: NETWORK.loss(unflatten(x)))(flat)


def dense_hessian(gain, params):
    """Roots of effective steps, `[size]`, and the Hessian, `[size, size]`."""
    with jax.enable_x64(True):
        root = np.sqrt(np.concatenate([x.ravel() for x in jax.tree.leaves(gain)]))
        return root, np.asarray(hessian(params))


def test_sharpness_is_the_largest_eigenvalue_of_a_dense_matrix():
    """Of D^½ H D^½ with Adam's own D, wherever the residual says that it has converged."""
    steps, windows, rate = 160, 8, 1e-2
    probe = pj.probes.Sharpness(count=3)
    dataset = pj.sweep(
        NETWORK,
        optax.adam,
        pj.Grid(learning_rate=[rate, rate / 3]),
        steps=steps,
        windows=windows,
        probes=[probe],
    ).sel(learning_rate=rate)
    run = along(NETWORK, optax.adam(rate), steps)
    converged = 0
    for window, (params, _, grads, _, state) in enumerate(run[20::20]):
        adam = state[0]
        count = int(adam.count) + 1
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g**2, adam.nu, grads)
        gain = jax.tree.map(
            lambda v, n=count: rate / (1 - 0.9**n) / (np.sqrt(v / (1 - 0.999**n)) + 1e-8), v
        )
        root, dense = dense_hessian(gain, params)
        values = np.linalg.eigvalsh(root[:, None] * dense * root[None])[::-1]
        if float(dataset["sharpness_residual"][window]) < 1e-3:
            converged += 1
            np.testing.assert_allclose(dataset["sharpness"][window], values[0], rtol=1e-3)
            np.testing.assert_allclose(dataset["sharpness_2"][window], values[1], rtol=2e-2)
            np.testing.assert_allclose(dataset["edge_ratio"][window], values[0] / 38, rtol=1e-3)
    assert converged >= 6


BOWL = pj.Problem(lambda x: jnp.sum(x**2) / 2, lambda key: 1e-3 * jnp.ones(1))
NEVER_ZERO = {"eps": 1e100}
LINEAR = {
    "sgd": (optax.sgd, {}, 2.0),
    "heavy ball": (functools.partial(optax.sgd, momentum=0.9), {}, 3.8),
    "nesterov": (functools.partial(optax.sgd, momentum=0.9, nesterov=True), {}, 3.8 / 2.8),
    "rmsprop": (optax.rmsprop, NEVER_ZERO, 2e50),
    "adam": (optax.adam, NEVER_ZERO, 38e100),
    "nadam": (optax.nadam, NEVER_ZERO, 38e100 / 2.8),
    "amsgrad": (optax.amsgrad, NEVER_ZERO, None),
    "yogi": (optax.yogi, NEVER_ZERO, None),
    "adamax": (optax.adamax, NEVER_ZERO, None),
    "two momenta": (
        lambda learning_rate: optax.chain(
            optax.trace(0.5), optax.trace(0.8), optax.scale(-learning_rate)
        ),
        {},
        None,
    ),
}
"""Optimizers that are linear where ε is far over √v; the largest stable rate, if in the table."""


@pytest.mark.parametrize("name", LINEAR)
def test_below_the_edge_a_quadratic_comes_to_rest_and_above_it_grows(name):
    """The recursion itself decides: its loss falls if the edge ratio is below 1, and else grows."""
    factory, fixed, limit = LINEAR[name]
    arguments = {"steps": 3000, "windows": 30, "probes": ["sharpness"]}
    small = pj.linear_axis(1e-3, 5e-3, 5)  # as many as below: the same program
    first = pj.sweep(BOWL, factory, pj.Grid(learning_rate=small, **fixed), **arguments)
    per_rate = float(first["edge_ratio"][0, -1]) / 1e-3
    if limit is not None:
        np.testing.assert_allclose(1 / per_rate, limit, rtol=2e-3)
    ratios = np.array([0.6, 0.9, 0.97, 1.03, 1.1])
    dataset = pj.sweep(
        BOWL, factory, pj.Grid(learning_rate=list(ratios / per_rate), **fixed), **arguments
    )
    np.testing.assert_allclose(dataset["edge_ratio"][:3, 0], ratios[:3], rtol=2e-2)
    early, late = (dataset["loss_max"][:, place].values for place in (1, 5))
    np.testing.assert_array_equal(late > early, ratios > 1)


def test_clipping_that_is_active_has_no_threshold():
    grid = pj.Grid(learning_rate=[1e-2, 2e-2])
    arguments = {"steps": 64, "windows": 8, "probes": ["sharpness"]}

    def clipped(learning_rate, most):
        return optax.chain(optax.clip_by_global_norm(most), optax.adam(learning_rate))

    problem = pj.problems.quadratic()
    for most, active in ((1e-6, True), (1e6, False)):
        factory = functools.partial(clipped, most=most)
        ratio = pj.sweep(problem, factory, grid, **arguments)["edge_ratio"]
        assert np.isnan(ratio).all() == active
    plain = pj.sweep(problem, optax.adam, grid, **arguments)["edge_ratio"]
    np.testing.assert_allclose(ratio, plain, rtol=1e-6)


PARTS = {"b": np.ones(2), "w": np.ones((2, 2))}
UNUSUAL = {
    "a direction that sharpens": (
        lambda p: 0.75 * p[1] ** 2 + 3 * jnp.log(jnp.cosh(p[0])),
        np.array([3.0, 1.0]),
        lambda rate: optax.sgd(0.02 * rate),
        0.03,
    ),
    "weight decay that diverges": (
        lambda p: jnp.sum(p**2) / 2,
        np.ones(2),
        lambda rate: optax.adamw(0.3 * rate, weight_decay=10.0),
        np.inf,
    ),
    "decay in the momentum": (
        lambda p: jnp.sum((p - 1) ** 2) / 2,
        np.zeros(2),
        lambda rate: optax.chain(optax.add_decayed_weights(1.0), optax.sgd(rate, momentum=0.9)),
        np.nan,
    ),
    "decay of some parameters": (
        lambda p: 0.005 * jnp.sum(p["b"] ** 2) + jnp.sum(p["w"] ** 2),
        PARTS,
        lambda rate: optax.chain(
            optax.masked(optax.add_decayed_weights(12.0), {"b": False, "w": True}),
            optax.sgd(0.1 * rate),
        ),
        np.nan,
    ),
    "a later array is mixed": (
        lambda p: 0.005 * jnp.sum(p["b"] ** 2) + jnp.sum(p["w"] ** 2),
        PARTS,
        lambda rate: optax.chain(optax.centralize(), optax.sgd(rate)),
        np.nan,
    ),
    "a warm-up from zero": (
        lambda p: jnp.sum(p**2) / 2,
        np.ones(2),
        lambda rate: optax.sgd(optax.linear_schedule(0.0, 0.2 * rate, 100)),
        0.1,
    ),
    "an array without numbers": (
        lambda p: jnp.sum(p["b"] ** 2),
        {"a": np.ones(0), "b": np.ones(2)},
        lambda rate: optax.sgd(0.1 * rate),
        0.1,
    ),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_optimizers_have_their_ratio_or_none(name):
    """The first value of the axis is a special case that must not decide for the second."""
    loss, start, factory, expected = UNUSUAL[name]
    problem = pj.Problem(loss, lambda key: jax.tree.map(jnp.asarray, start))
    grid = pj.Grid(rate=[0.0, 1.0])
    dataset = pj.sweep(problem, factory, grid, steps=400, windows=8, probes=["sharpness"])
    np.testing.assert_allclose(float(dataset["edge_ratio"][1, -1]), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "refused"),
    [(optax.adamax, True), (optax.yogi, True), (optax.sm3, True), (optax.adabelief, False)],
)
def test_moments_are_averages_of_squares_or_refused(small, optimizer, refused):
    grid = pj.Grid(learning_rate=[0.01, 0.1])
    if refused:
        with pytest.raises(ValueError, match="moments: the optimizer's"):
            swept(small, ["moments"], dynamics=optimizer, grid=grid)
    else:
        dataset = swept(small, ["moments"], dynamics=optimizer, grid=grid)
        assert (dataset["root_second_moment_min"] > 0).all()


def test_the_mechanism_needs_its_probes(small):
    with pytest.raises(ValueError, match="dataset has no probe sharpness or predictor"):
        pj.mechanism(swept(small, ["norms"]))


def test_the_sharpness_of_one_parameter_may_be_negative():
    """Gradient descent from near a maximum of cos w; η times the curvature there."""
    start, rate = 0.1, 1e-3
    problem = pj.Problem(lambda w: 1 + jnp.cos(w[0]), lambda key: jnp.array([start]), "maximum")
    grid = pj.Grid(learning_rate=[rate])
    found = pj.sweep(problem, optax.sgd, grid, steps=64, windows=8, probes=["sharpness"])
    w = start
    for _ in range(64):
        w += rate * np.sin(w)
    np.testing.assert_allclose(found.sharpness[0, -1], -rate * np.cos(w), rtol=1e-9)
