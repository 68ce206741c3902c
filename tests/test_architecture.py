"""The architecture is this test: floors in one tuple, imports only go down, heavy things load only when needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import or_magic

from .guards import HANG_S

PACKAGE = Path(or_magic.__file__).resolve().parent

# Import only what stands before you. A name covers the module or the package of that name, with all inside it.
FLOORS = (
    "neutral", "tables", "outline", "content", "errors", "pictures", "sound", "values", "events", "charges",                                        # 1 values
    "addresses", "protocol", "estimate", "pricing", "budget", "rules", "strict_json", "schema", "template", "options", "masking", "conversation", "context",                        # 2 protocol
    "private_folder", "paths", "secrets", "dotenv_file", "setting_kinds", "config_file", "setting_places",
    "settings", "media", "objects", "data", "gateway", "offline", "ledger", "middleware",                                                                    # 3 world
    "engine", "features", "api", "verbs", "__main__",                                                   # 4 engine, features
    "notebook",                                                                                # 5 notebook
)  # fmt: skip
# Siblings that must not know each other, although one stands before the other in the tuple.
STRANGERS = {
    "gateway": {"offline", "data", "config_file", "settings", "media", "objects"},
    "offline": set(FLOORS) - {"offline", "data"},
    "ledger": {"gateway", "offline", "config_file", "settings", "media", "objects", "secrets"},
    "middleware": {"gateway", "offline", "ledger", "config_file", "settings", "media", "objects", "secrets"},
    "protocol": {"options", "template"},
}
ONLY_IN = {
    "openai": ("gateway/http.py",),
    "httpx2": ("gateway/",),
    "httpcore2": ("gateway/",),
    "IPython": ("notebook/",),
    "ipywidgets": ("notebook/",),
    "matplotlib": ("features/",),
    "psycopg": ("ledger/",),
}
PURE = (
    "schema",
    "strict_json",
    "tables",
    "outline",
    "addresses",
    "content",
    "sound",
    "values",
    "errors",
    "events",
    "charges",
    "protocol",
    "estimate",
    "pricing",
    "budget",
    "options",
    "template",
    "masking",
    "conversation",
    "context",
    "rules",
    "neutral",
)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
IMPURE = {"os", "io", "socket", "sqlite3", "subprocess", "threading", "time", "pathlib", "urllib", "random", "asyncio"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def floor(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path, *, types_too: bool = True) -> list[str]:
    """Every imported module, absolute, wherever the import stands."""
    here = ("or_magic", *path.relative_to(PACKAGE).parent.parts)
    found = []
    for node in _walk(ast.parse(path.read_text(encoding="utf-8")), types_too=types_too):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = [*here[: len(here) - node.level + 1]] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found += [f"{module}.{alias.name}" for alias in node.names]
    return found


def _walk(tree: ast.AST, *, types_too: bool) -> list[ast.AST]:
    nodes: list[ast.AST] = []
    for child in ast.iter_child_nodes(tree):
        guarded = isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING"
        if types_too or not guarded:
            nodes += [child, *_walk(child, types_too=types_too)]
    return nodes


def test_every_module_stands_on_a_floor() -> None:
    """A room without a floor is a room whose imports nobody checks."""
    assert set(FLOORS) | {"__init__"} == {floor(path) for path in modules()}


@pytest.mark.parametrize("path", modules(), ids=place)
def test_imports_only_go_down(path: Path) -> None:
    """No cycles, not even inside functions or for types."""
    if path == PACKAGE / "__init__.py":
        return
    mine = FLOORS.index(floor(path))
    for name in imports(path):
        words = name.split(".")
        if words[0] == "or_magic" and len(words) > 1 and words[1] in FLOORS:
            assert mine >= FLOORS.index(words[1]), f"{place(path)} imports {name}, which stands above it"
            assert words[1] not in STRANGERS.get(floor(path), set()), f"{place(path)} must not know {name}"


@pytest.mark.parametrize("path", modules(), ids=place)
def test_outside_libraries_stay_in_their_rooms(path: Path) -> None:
    """One importer of openai, one floor that spells IPython."""
    for name in imports(path, types_too=False):
        rooms = ONLY_IN.get(name.split(".")[0])
        assert rooms is None or place(path).startswith(rooms), f"{place(path)} imports {name}"


@pytest.mark.parametrize("path", [p for p in modules() if floor(p) in PURE], ids=place)
def test_the_lower_floors_are_pure(path: Path) -> None:
    """Floors 1 and 2 do no I/O: they do not even import what could."""
    assert set() == {name.split(".")[0] for name in imports(path)} & IMPURE


@pytest.mark.parametrize("path", modules(), ids=place)
def test_every_module_says_what_it_is(path: Path) -> None:
    """A newcomer finds the room for a change in a minute."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, f"{place(path)} has no docstring"
    assert docstring.splitlines()[0].endswith((".", ":")), f"{place(path)}: the first line is no sentence"


@pytest.mark.parametrize("path", modules(), ids=place)
def test_rooms_stay_small(path: Path) -> None:
    """Files have at most 350 lines, functions 45 without their docstring."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 350
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, _FUNCTIONS):
            docstring = ast.get_docstring(node, clean=False) or ""
            size = node.end_lineno - node.lineno - docstring.count("\n")
            assert size <= 45, f"{place(path)}: {node.name} has {size} lines"


@pytest.mark.parametrize("path", modules(), ids=place)
def test_no_function_nests_deeper_than_three(path: Path) -> None:
    """What stands in a loop in a loop in a case is a function that nobody has named yet."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, _FUNCTIONS):
            assert _depth(node) <= 3, f"{place(path)}: {node.name} nests {_depth(node)} deep"


def _depth(node: ast.AST) -> int:
    """Return how many blocks stand inside each other below ``node``; a function within is counted by itself."""
    inner = [child for child in ast.iter_child_nodes(node) if not isinstance(child, (*_FUNCTIONS, ast.ClassDef))]
    return max((isinstance(child, _BLOCKS) - _is_elif(child, node) + _depth(child) for child in inner), default=0)


def _is_elif(child: ast.AST, above: ast.AST) -> bool:
    return isinstance(child, ast.If) and isinstance(above, ast.If) and [child] == above.orelse


def test_public_names_are_sorted_and_true() -> None:
    """`__all__` is a promise; `dir` and attribute access must agree with it."""
    assert sorted(or_magic.__all__) == or_magic.__all__
    assert len(or_magic.__all__) <= 18
    for name in set(or_magic.__all__) - {"replies", "tracker"}:  # those open the ledger
        assert getattr(or_magic, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        or_magic.no_such_name  # noqa: B018


@pytest.mark.parametrize(
    "statement",
    [
        "import or_magic",
        "import IPython; s = IPython.InteractiveShell.instance(); s.run_line_magic('load_ext', 'or_magic')",
    ],
    ids=["import", "load_ext"],
)
def test_nothing_heavy_loads_before_it_is_needed(statement: str) -> None:
    """Loading is not felt."""
    heavy = [
        "openai",
        "pandas",
        "matplotlib.pyplot",
        "ipywidgets",
        "pydantic",
        "jsonschema",
        "httpx2",
        "jiter",
        "psutil",
    ]
    code = f"{statement}\nimport sys\nprint([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=HANG_S)
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_there_is_no_pickle() -> None:
    """A file that another program wrote must never become code."""
    for path in modules():
        assert not {name.split(".")[0] for name in imports(path)} & {"pickle", "shelve", "marshal", "dill"}
