"""Which columns are the training loss, and which may be the step, by their names."""

import re
from collections.abc import Callable, Iterable, Sequence

KNOWN = (
    "train_loss training_loss loss_train train_loss_step loss_train_total train_loss_total "
    "train_total_loss train_batch_loss",
    "loss lm_loss train_lm_loss trl total_loss loss_total batch_loss",
    "value",
    "train_loss_epoch",
)
"""Names of the training loss; those of a line are equally good, and better than the next line."""
ANY_LOSS = re.compile("loss")
OTHER_LOSS = re.compile(
    r"(^|_)(nll|cross_entropy|xent|ce|mse|rmse|mae|error|err|cost|objective|neg_elbo|negative_elbo|nelbo|energy)(_|$)"
)
"""What a loss may be called if no column is called loss."""
VALIDATION = re.compile(r"(^|_)(val|valid|validation|eval|evaluation|test|dev|tel|heldout)(_|$)")
STEPS = (
    "step global_step trainer_global_step train_step training_step train_global_step iteration "
    "iter iters iterations num_updates train_num_updates update updates batch batch_idx ba it "
    "steps t i n_iter epoch epochs train_epoch round index"
).split()
"""Names of the step, the best first."""
NO_RUN = frozenset(
    "step steps iter iters iteration iterations epoch epochs batch updates update index round lr "
    "rate time wall timestamp date seconds sec ms runtime norm gnorm decay momentum wd mfu tokens "
    "samples tok throughput memory mem gpu speed seed acc accuracy perplexity ppl skipped scale "
    "scaler elbo".split()
)
"""Words in the names of columns that are no run."""
EXTREMES = ("__MIN", "__MAX")
"""Endings of columns that Weights & Biases adds to each run of an export."""


def losses(names: Sequence[str], wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the columns that are training losses, one for each run.

    `wanted` are names that the file's format gives the training loss, the best first. A validation
    loss is taken if there is no training loss. If no name is known, every column is a run that
    may be one by its name.
    """
    for name in wanted:
        if name in names:
            return tuple(other for other in names if _base(other) == name)
    names = [name for name in names if not name.endswith(EXTREMES)]
    training = [name for name in names if not _is_validation(name)]
    for among in (training, names):
        if found := _best(among):
            return found
    return tuple(name for name in names if _may_be_run(name))


def steps(names: Iterable[str]) -> list[str]:
    """Return the columns that may be the step, the best first."""
    ranked = [(min(map(_step_rank, _forms(name))), name) for name in names]
    return [name for rank, name in sorted(ranked, key=lambda pair: pair[0]) if rank < len(STEPS)]


def _best(names: Sequence[str]) -> tuple[str, ...]:
    """Return the columns with the best name of a loss."""
    for known in KNOWN:
        if found := [name for name in names if set(_forms(name)) & set(known.split())]:
            return tuple(found)
    for fits in (_is_any_loss, lambda form: bool(OTHER_LOSS.search(form))):
        if found := _alike(names, fits):
            return found
    return ()


def _alike(names: Sequence[str], fits: Callable[[str], bool]) -> tuple[str, ...]:
    """Return the first column that fits, and those of other runs that have the same name."""
    found = [name for name in names if fits(_forms(name)[-1])]
    return tuple(name for name in found if _forms(name)[-1] == _forms(found[0])[-1])


def _is_any_loss(form: str) -> bool:
    return bool(ANY_LOSS.search(form)) and "loss_scale" not in form


def _may_be_run(name: str) -> bool:
    """Whether a column of unknown name may be a run."""
    return all(form not in STEPS and not NO_RUN & set(form.split("_")) for form in _forms(name))


def _is_validation(name: str) -> bool:
    return bool(VALIDATION.search(_plain(_metric(name))))


def _step_rank(form: str) -> int:
    return STEPS.index(form) if form in STEPS else len(STEPS)


def _forms(name: str) -> tuple[str, str]:
    """Return the plain name of the metric, and that of its last part: `run/loss` is a `loss`."""
    metric = _metric(name)
    return _plain(metric), _plain(metric.rpartition("/")[2])


def _metric(name: str) -> str:
    """Return the name without the run: Weights & Biases writes `RUN - METRIC`."""
    return _base(name.rpartition(" - ")[2])


def _base(name: str) -> str:
    """Return the name without the number of a column whose name occurs twice."""
    return re.sub(r"\.\d+$", "", name)


def _plain(name: str) -> str:
    """Return a name in small letters, its words joined by underscores."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[\W_]+", "_", words.lower()).strip("_")
