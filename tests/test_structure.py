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

# The roles that each adapter has a module for, with what is in it on both platforms.
ROLES = {
    "adapter": "{platform}Adapter {platform}Adapter.deliver {platform}Adapter.progress {platform}Adapter.run",
    "addressing": "PLATFORM address_of author_of is_unasked question_text replied_text replies_to text_of",
    "buttons": "",
    "chats": "Chats Chats.policy_for",
    "checking": "check",
    "commands": "",
    "connection": "Connection Connection.trouble",
    "incoming": "Incoming",
    "outgoing": "Outbox Outbox.deliver Outbox.withdraw",
    "places": "",
    "progress": "ProgressDisplay ProgressDisplay.end ProgressDisplay.end_all ProgressDisplay.show",
    "rendering": "marked_as_repeated more_of passages_of",
    "sending": "",
    "setup": "HOW_TO_WRITE PREPARATION first_message invitation",
    "tasks": "",
}


def names_in(tree: ast.Module) -> Iterator[str]:
    """Yield what a module has on its highest level, and the methods of its classes."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            yield from (f"{node.name}.{one.name}" for one in node.body if hasattr(one, "name"))


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
@pytest.mark.parametrize("role", ROLES)
def test_the_same_role_has_the_same_file_and_names_on_each_platform(platform, role):
    """So that a reader of one adapter finds the way in the other."""
    tree = ast.parse((BOT / "adapters" / platform / f"{role}.py").read_text(encoding="utf-8"))
    assert set(ROLES[role].format(platform=platform.title()).split()) <= set(names_in(tree))


@pytest.mark.parametrize("platform", ["discord", "telegram"])
def test_reading_a_message_makes_no_calls(platform):
    """Whoever it is from and whether it addresses the bot is decided by the message alone."""
    tree = ast.parse((BOT / "adapters" / platform / "addressing.py").read_text(encoding="utf-8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef | ast.Await)]


@pytest.mark.parametrize("platform", ["discord", "telegram"])
def test_the_local_servers_have_the_same_parts(platform):
    """So that a reader of one local server of the tests finds the way in the other."""
    parts = "chats description events interactions markup messages people server"
    names = {file.stem.removeprefix(f"{platform}_") for file in PLATFORMS.glob(f"{platform}_*.py")}
    assert set(parts.split()) <= names
