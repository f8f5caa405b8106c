"""TensorBoard event files, with the package tensorboard."""

from collections.abc import Iterator

from .._check import MissingExtra
from .content import Content, of_rows
from .source import Source


def fits(source: Source) -> bool:
    """Whether a file is an event file: its first record names the version of the format."""
    return "tfevents" in source.path.name or b"brain.Event:" in source.head[:64]


def read(source: Source) -> Content:
    """Read all scalars, a row for each."""
    return of_rows("TensorBoard events", _rows(source))


def _rows(source: Source) -> Iterator[dict[str, float]]:
    try:
        from tensorboard.backend.event_processing import event_file_loader  # pyright: ignore
        from tensorboard.util import tensor_util  # pyright: ignore
    except ImportError as error:
        raise MissingExtra("reading TensorBoard event files", "logs") from error
    for event in event_file_loader.EventFileLoader(str(source.path)).Load():
        for value in event.summary.value:
            if value.metadata.plugin_data.plugin_name == "scalars":
                number = tensor_util.make_ndarray(value.tensor).item()
                yield {"step": event.step, value.tag: number}
