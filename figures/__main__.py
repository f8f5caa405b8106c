"""Draw figures into docs/figures, as PNG and PDF, and write the gallery of docs."""

import argparse
from importlib import import_module

import matplotlib.style

import phasejax as pj

from . import ORDER
from .gallery import FOLDER, GALLERY, gallery


def main() -> None:
    """Draw those that are named, or all."""
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
            figure = module.draw(module.compute())
            figure.savefig(FOLDER / f"{name}.png")
            figure.savefig(FOLDER / f"{name}.pdf", metadata={"CreationDate": None})
        print(f"wrote {FOLDER / name}.png and .pdf")
    GALLERY.write_text(gallery(), encoding="utf-8")


if __name__ == "__main__":
    main()
