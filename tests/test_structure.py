"""The shape of the code: packages in layers, no circles, classes of a readable size, adapters that mirror each other."""

import ast
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
BOT = ROOT / "bot"
PLATFORMS = ROOT / "tests" / "platforms"
PROGRAM = {"__main__", "cli"}  # modules that stand above all packages


def classes() -> Iterator[tuple[str, ast.ClassDef]]:
    for file in (*BOT.rglob("*.py"), *PLATFORMS.glob("discord_*.py"), *PLATFORMS.glob("telegram_*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield f"{file.relative_to(ROOT)}: {node.name}", node


def test_every_module_stands_in_a_package():
    """Apart from the program itself."""
    assert {file.stem for file in BOT.glob("*.py")} == {"__init__", *PROGRAM}


def test_the_layers_are_few_and_hold_every_package():
    """`make lint` checks the imports themselves."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    [contract] = [one for one in contracts if one["type"] == "layers"]
    layers = [set(layer.replace("|", " ").split()) for layer in contract["layers"]]
    assert (contract["exhaustive"], contract["containers"]) == (True, ["bot"])
    assert len([layer for layer in layers if not layer <= PROGRAM]) <= 9
    assert set.union(*layers) - PROGRAM == {file.parent.name for file in BOT.glob("*/__init__.py")}


def test_no_modules_import_each_other():
    """Neither directly nor in a circle, nor within functions or for type checking only."""
    graph = grimp.build_graph("bot", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    TopologicalSorter(imports).prepare()  # raises CycleError with the circle


def test_no_class_is_too_large_to_be_read_as_a_whole():
    """Up to 250 lines and 20 methods."""
    for name, node in classes():
        assert node.end_lineno is not None
        assert node.end_lineno - node.lineno < 250, name
        assert sum(isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) for part in node.body) <= 20, name


def test_no_file_of_tests_or_measurements_is_longer_than_is_read_at_once():
    """Up to 700 lines, so that a format, a store or a role has one of its own; a measurement up to 400."""
    for file in ROOT.glob("benchmarks/*.py"):
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 400, file
    for file in (ROOT / "tests").rglob("*.py"):
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 700, file


@pytest.mark.parametrize("platform", ["discord", "telegram"])
def test_the_same_role_has_the_same_file_on_each_platform(platform):
    """So that a reader of one adapter, or of one local server of the tests, finds the way in the other."""
    roles = "adapter addressing buttons checking commands connection incoming outgoing places progress rendering"
    assert set(roles.split()) <= {file.stem for file in (BOT / "adapters" / platform).glob("*.py")}
    parts = "chats description events interactions markup messages people server"
    names = {file.stem.removeprefix(f"{platform}_") for file in PLATFORMS.glob(f"{platform}_*.py")}
    assert set(parts.split()) <= names
