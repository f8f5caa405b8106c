"""Commands that compute: `phasejax sweep` and `phasejax zoom`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import phasejax as pj

from .._check import ArgumentError
from . import lookup, values
from .options import NewStore, Overwrite, Refine, Resume
from .parser import Group, renamed
from .stores import opened

if TYPE_CHECKING:
    import xarray as xr

HYPER_PARAMETERS = Group(
    {
        name: Annotated[str | None, typer.Option(metavar="RANGE", help=text)]
        for name, text in values.HYPER_PARAMETERS.items()
    }
)
"""Flags that each give the values of one hyper-parameter."""
RUN = Group(
    {
        "steps": Annotated[int | None, typer.Option(help="Steps per cell; 20000 by default.")],
        "time": Annotated[float | None, typer.Option(help="Length of a flow, instead of steps.")],
        "windows": Annotated[
            int | None,
            typer.Option(help="Number of windows that a loss curve is stored as; 256 by default."),
        ],
        "dtype": Annotated[
            str | None, typer.Option(help="float64 or float32; float64 by default.")
        ],
        "block_size": Annotated[
            int | None,
            typer.Option(help="Cells that a device advances at once; measured by default."),
        ],
    }
)
"""Arguments of `phasejax.sweep` that are passed on as they are, and have its defaults."""
SOLVER = Group(
    {
        "solver": Annotated[
            str | None, typer.Option(help="Of a flow: auto, tsit5, dopri8, kvaerno5, ...")
        ],
        "rtol": Annotated[float | None, typer.Option(help="Of a flow: 1e-8 by default.")],
        "atol": Annotated[float | None, typer.Option(help="Of a flow: 1e-14 by default.")],
        "max_steps": Annotated[
            int | None, typer.Option(help="Of a flow: solver steps per cell; 200000 by default.")
        ],
    }
)
"""Arguments of `phasejax.Flow`, which have its defaults."""
Problem = Annotated[
    str,
    typer.Option(
        help="digits, quadratic, power, rosenbrock, deep_linear, cifar10 (with "
        "--problem-arg folder=PATH), modular_addition, convnet, autoencoder, characters, or "
        "FILE.py:FUNCTION, which takes --problem-arg too."
    ),
]
ProblemArguments = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="Argument of the problem: hidden=32,32. Give --problem-arg again for more.",
    ),
]
Optimizer = Annotated[
    str,
    typer.Option(
        help="adam or rmsprop in a and b, scalar_rmsprop in a, adam_decays in delta and gamma, any "
        "of optax and optax.contrib (adamw, prodigy; optax.adam), with a schedule of the rate "
        "(adamw+warmup_cosine), adam_flow, rmsprop_flow, signgd_flow, or FILE.py:FUNCTION, which "
        "takes its arguments from --axis too."
    ),
]
OtherAxes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=RANGE",
        help="Any other argument of the optimizer, as an axis or fixed: "
        "b1=0.5:0.99:20:linear, nesterov=True,False. Give --axis again for more.",
    ),
]
Probes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="What else to measure along every run: norms, edge, cosine, moments, sharpness, "
        "predictor, lyapunov, period, or FILE.py:FUNCTION, a function of (params, grads, updates, "
        "state). Give --probe again for more.",
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="tcp://HOST:PORT", help="Run the cells on the workers of a Dask scheduler."
    ),
]


def sweep(
    *,
    problem: Problem = "digits",
    problem_arg: ProblemArguments = None,
    optimizer: Optimizer = "adam",
    hyper_parameters: Annotated[dict[str, str], HYPER_PARAMETERS],
    axis: OtherAxes = None,
    run: Annotated[dict[str, Any], RUN],
    solving: Annotated[dict[str, Any], SOLVER],
    store: NewStore = Path("sweep.zarr"),
    resume: Resume = False,
    overwrite: Overwrite = False,
    refine: Refine = None,
    probe: Probes = None,
    scheduler: Scheduler = None,
) -> int:
    """Run every cell of a grid of hyper-parameters and label its regime.

    Example: phasejax sweep --problem digits --a 0.3:300:24 --b 0.3:300:24 --store out/a-b.zarr
    """
    ranges = [*hyper_parameters.items(), *(values.pair("axis", text) for text in axis or [])]
    given = values.hyper_parameters(ranges)
    arguments = values.once(values.pair("problem_arg", text) for text in problem_arg or [])
    counts = None if refine is None else values.counts(refine)
    set_up()
    dynamics = lookup.dynamics(optimizer, "time" in run, solving)
    made = lookup.problem(problem, {name: values.literal(text) for name, text in arguments.items()})
    grid = _grid(given)
    executor = None
    if scheduler is not None:
        from ..engine.cluster import connect

        executor = connect(scheduler)
    dataset = pj.sweep(
        made,
        dynamics,
        grid,
        **run,
        store=store,
        overwrite=overwrite,
        resume=resume,
        refine=counts,
        executor=executor,
        probes=[lookup.probe(text) for text in probe or []],
    )
    return _report(dataset, store)


def zoom(
    source: Annotated[Path, typer.Argument(metavar="STORE", help="The sweep to zoom into.")],
    to: Annotated[str, typer.Option(metavar="NAME=LOW:HIGH,...", help="The window: a=1:3,b=10:30")],
    store: NewStore = Path("zoom.zarr"),
    refine: Refine = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> int:
    """Run a stored sweep again on a window of its plane.

    Example: phasejax zoom out/a-b.zarr --to a=1:10,b=30:300 --refine 257 --store out/zoom.zarr
    """
    from ..results.rerun import arguments_of

    dataset = opened(source)
    windows = values.windows(to)
    counts = None if refine is None else values.counts(refine)
    set_up()
    arguments = arguments_of(dataset)
    with renamed({"zoom": "to", "low:high": "to", "low": "to"}):
        grid = pj.zoom(dataset, **windows)
    dataset = pj.sweep(
        **arguments, grid=grid, store=store, refine=counts, resume=resume, overwrite=overwrite
    )
    return _report(dataset, store)


def set_up() -> None:
    """Prepare this process for computing; JAX must not have started yet."""
    from ..devices import check_platform

    pj.use_all_cores()
    pj.use_compilation_cache()
    check_platform()


def _grid(given: dict[str, Any]) -> "pj.Grid":
    """Make the grid; without any axis, say by which flags one is given."""
    if not any(isinstance(value, list | pj.Axis) for value in given.values()):
        raise ArgumentError(
            "--a",
            " LOW:HIGH:COUNT is missing: a sweep needs one or more hyper-parameters with several "
            "values, given by --a, --b, ... or --axis NAME=LOW:HIGH:COUNT",
        )
    return pj.Grid(**given)


def _report(dataset: "xr.Dataset", store: Path) -> int:
    """Print what a sweep found and where it is; returns the exit code."""
    print(pj.summary(dataset))
    print(f"wrote {store}; next: phasejax plot {store}")
    return 1 if dataset.attrs["failures"] else 0
