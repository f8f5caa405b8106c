"""Draw figures into docs/figures, as PNG and PDF, and write the gallery of the docs."""

import argparse
from importlib import import_module
from pathlib import Path

import matplotlib.style
from matplotlib.figure import Figure

import phasejax as pj

from . import ORDER
from .gallery import FOLDER, GALLERY, gallery


def main() -> None:
    """Draw the figures named on the command line, by default all."""
    parser = argparse.ArgumentParser(prog="python -m figures", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ORDER))
    names = parser.parse_args().names or ORDER
    if unknown := set(names) - set(ORDER):
        parser.error(f"NAME = {sorted(unknown)}: must be among {', '.join(ORDER)}")
    pj.use_all_cores()
    pj.use_compilation_cache()
    FOLDER.mkdir(exist_ok=True)
    for name in names:
        module = import_module(f"figures.{name}")
        with matplotlib.style.context("phasejax.plot.paper"):
            save(module.draw(module.compute()), FOLDER / name, module.TITLE, module.CAPTION)
        print(f"wrote {FOLDER / name}.png and .pdf")
    GALLERY.write_text(gallery(), encoding="utf-8")


def save(figure: Figure, path: Path, title: str, caption: str) -> None:
    """Write a figure as PNG and PDF, with title and caption in the metadata."""
    caption = " ".join(caption.split())
    metadata = {"Title": title, "Description": caption}
    figure.savefig(path.with_suffix(".png"), metadata=metadata)
    metadata = {"Title": title, "Subject": caption, "CreationDate": None}
    figure.savefig(path.with_suffix(".pdf"), metadata=metadata)


if __name__ == "__main__":
    main()
