"""Reads the project's own source for the rules about tests: what a module's names mean, and what it imports in turn."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, eq=False)
class Module:
    """*origins*: each name that was imported, or given to an imported thing, and where that comes from."""

    path: str
    tree: ast.Module
    origins: dict[str, str]

    def origin(self, node: ast.AST) -> str:
        """`datetime.datetime.now` for `dt.now` after `from datetime import datetime as dt`; empty for what is ours."""
        if isinstance(node, ast.Name):
            return self.origins.get(node.id, "")
        if isinstance(node, ast.Attribute) and (owner := self.origin(node.value)):
            return f"{owner}.{node.attr}"
        return ""

    def at(self, node: ast.expr | ast.stmt) -> str:
        return f"{self.path}:{node.lineno}: {ast.unparse(node).splitlines()[0][:100]}"


def parse(source: str, path: str = "snippet.py") -> Module:
    tree = ast.parse(source)
    module = Module(path, tree, {})
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                module.origins[each.asname or each.name.split(".")[0]] = (
                    each.name if each.asname else each.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            module.origins.update({each.asname or each.name: f"{node.module}.{each.name}" for each in node.names})
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and (origin := module.origin(node.value)):
            module.origins.update({each.id: origin for each in node.targets if isinstance(each, ast.Name)})
    return module


@cache
def read(path: Path) -> Module:
    return parse(path.read_text(), str(path.relative_to(ROOT)))


def modules_of_tests() -> list[Module]:
    """Every module in tests/."""
    return [read(path) for path in sorted((ROOT / "tests").rglob("*.py"))]


@cache
def reached(module: Module) -> list[Module]:
    """*module*, all of ours that it imports, and what that imports in turn."""
    found: dict[str, Module] = {module.path: module}
    waiting = [module]
    while waiting:
        for each in _imported(waiting.pop()):
            if each.path not in found:
                found[each.path] = each
                waiting.append(each)
    return list(found.values())


@cache
def imported_names(module: Module) -> frozenset[str]:
    """Full names, those that come with `from` with their module's."""
    names = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{each.name}" for each in node.names}
    return frozenset(names)


@cache
def _imported(module: Module) -> frozenset[Module]:
    """Modules of ours, the packages around them too."""
    return frozenset(read(path) for name in imported_names(module) for path in _files_of(name))


@cache
def _files_of(name: str) -> list[Path]:
    parts = name.split(".")
    places = [ROOT.joinpath(*parts[:length]) for length in range(1, len(parts) + 1)]
    found = [path for place in places for path in (place.with_suffix(".py"), place / "__init__.py")]
    return [path for path in found if path.is_file()]
