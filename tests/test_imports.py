"""Nothing imports upward: the folders of the package have an order, and there is no circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import phasejax

PACKAGE = Path(phasejax.__file__).parent
ORDER = (
    "_check _types _version _files _platform _interrupt _precision identity".split(),
    ["devices", "grid", "envelope", "theory"],
    ["problems"],
    ["probes"],
    ["factory", "program"],
    ["ode"],
    ["dynamics"],
    ["regimes"],
    ["logs"],
    ["results"],
    ["engine"],
    ["_sweep", "_trajectory", "_replay"],
    ["_compare"],
    ["plot"],
    ["page"],
    ["cli"],
    ["__main__"],
)
"""Files and folders of the package from the lowest to the highest."""
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}


def modules():
    """Every module of the package, by its dotted name without `phasejax.`."""
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            yield name, path


def imported(name, path):
    """Modules of the package that a module imports, inside functions too."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - (node.level - 1)]
            yield from (
                ".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names
            )


def known_part(target, names):
    """The module of which `target` is a name, or is."""
    while target and target not in names:
        target = target.rpartition(".")[0]
    return target


def test_nothing_imports_upward():
    wrong = []
    for name, path in modules():
        for target in imported(name, path):
            here, there = name.split(".")[0], target.split(".")[0]
            if here != there and there in LEVEL and LEVEL[there] >= LEVEL[here]:
                wrong.append(f"{name} imports {target}")
    assert wrong == []


def test_every_file_and_folder_has_its_level():
    assert {name.split(".")[0] for name, _ in modules()} == LEVEL.keys()


def test_there_is_no_circle():
    """Between files; a folder's `__init__` only lists names."""
    files = {name: path for name, path in modules() if path.name != "__init__.py"}
    graph = {
        name: {known_part(target, files) for target in imported(name, path)} - {"", name}
        for name, path in files.items()
    }
    assert len(list(TopologicalSorter(graph).static_order())) == len(files)


def test_step_or_flow_is_asked_in_one_place():
    """Only the loop is chosen by the kind of dynamics; all else is asked of the dynamics."""
    asking = [
        name
        for name, path in modules()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") in ("isinstance", "issubclass")
        and any(
            getattr(part, "id", getattr(part, "attr", ""))
            in ("Flow", "Optimizer", "Steps", "Integrator")
            for part in ast.walk(node.args[1])
        )
    ]
    assert asking == ["engine.tasks"]
