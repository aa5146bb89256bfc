"""Reads the project's own source for the rules about tests: what a module's names mean, and what it imports in turn."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, eq=False)
class Module:
    """*nodes*: the whole tree, walked once. *origins*: each name that was imported, or given to an imported thing, and
    where that comes from."""

    path: str
    tree: ast.Module
    nodes: list[ast.AST]
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


_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def number(module: Module, node: ast.expr | None, given: Mapping[str, float] = MappingProxyType({})) -> float | None:
    """What *node* comes to, of figures and of names that *module*, or one of tests/ that it imports, gives a figure.

    *given*: full names whose figure is known otherwise. None where it cannot be read off.
    """
    if isinstance(node, ast.Constant):
        return float(node.value) if type(node.value) in (int, float) else None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = number(module, node.operand, given)
        return None if value is None else -value
    if isinstance(node, ast.BinOp) and (does := _ARITHMETIC.get(type(node.op))):
        left, right = number(module, node.left, given), number(module, node.right, given)
        return None if left is None or right is None or (does is operator.truediv and not right) else does(left, right)
    if isinstance(node, ast.Name | ast.Attribute):
        return _figure_of(module, node, given)
    return None


def _figure_of(module: Module, node: ast.Name | ast.Attribute, given: Mapping[str, float]) -> float | None:
    if not (origin := module.origin(node)):
        return number(module, _assigned(module, node.id), given) if isinstance(node, ast.Name) else None
    if origin in given:
        return given[origin]
    owner, _, name = origin.rpartition(".")
    files = _files_of(owner) if owner.startswith("tests.") else []
    return number(there := read(files[-1]), _assigned(there, name), given) if files else None


def _assigned(module: Module, name: str) -> ast.expr | None:
    """What *module* gives its constant *name*."""
    for node in module.tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if isinstance(node, ast.Assign | ast.AnnAssign) and any(
            isinstance(t, ast.Name) and t.id == name for t in targets
        ):
            return node.value
    return None


def parse(source: str, path: str = "snippet.py") -> Module:
    tree = ast.parse(source)
    module = Module(path, tree, list(ast.walk(tree)), {})
    for node in module.nodes:
        if isinstance(node, ast.Import):
            for each in node.names:
                module.origins[each.asname or each.name.split(".")[0]] = (
                    each.name if each.asname else each.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            module.origins.update({each.asname or each.name: f"{node.module}.{each.name}" for each in node.names})
    for node in module.nodes:
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
    for node in module.nodes:
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
