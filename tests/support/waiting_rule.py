"""No test waits in silence or for long: whatever is waited for goes through `tests/support/waiting.py`.

A start of the whole program takes its START_SECONDS; pytest's time limit is a backstop for what hangs beside a wait.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.support.sources import Module, number, parse
from tests.support.waiting import LONGEST_SECONDS

HELPER = "tests/support/waiting.py"
CLIENTS_IN_CHAOS = {
    "tests/system/chaos_clients.py": "customers who repeat their message, for as long as parts are killed under them",
    "tests/system/chaos_faults.py": "kills parts until it is cancelled",
}
NOT_A_WAIT = {
    "tests/model/driver.py": "a workflow's own waits: the model's loop returns once nothing goes on by itself",
    "tests/model/stage.py": "reads what a task that is done came to",
    "tests/model/stops.py": "reads what a task that is done came to",
    "tests/model/world.py": "reads what a task that is done came to",
    "tests/unit/test_waiting.py": "lets the helper itself meet what never ends",
    "tests/unit/test_wrapper_breaker.py": "a breaker's `wait` returns seconds",
}
LASTS_SO_LONG = {
    "tests/integration/test_long_actions.py": "an action of this length is what is tested",
    "tests/system/test_passing_faults.py": "a fault of this length is what is tested",
}
SERVERS_THAT_HANG = {"tests/unit/test_wrapper_client.py": "hang"}
"""By path, the function in which a server's side is to hang."""

_SLEEPS = {"asyncio.sleep", "time.sleep", "anyio.sleep"}
_SILENT = {"asyncio.timeout", "asyncio.timeout_at", "asyncio.wait_for"}
_ENDLESS = {"wait", "join", "communicate", "result", "acquire"}
"""Methods that wait for ever when they are given no limit; `get` does where it is awaited."""

_ENDLESS_FUNCTIONS = {
    f"subprocess.{name}" for name in ("run", "call", "check_call", "check_output", "getoutput", "getstatusoutput")
} | {"asyncio.wait"}
_START = {"tests.support.waiting.START_SECONDS": 90.0}
"""A start's limit may be used as it is; what is made of it counts."""

_LONGEST_SLEEP_SECONDS = 2.0
"""Longer, and it is a wait for something: for what, nobody can see."""


def breaches(module: Module) -> list[str]:
    """What *module*, of tests/, does against the rule."""
    if module.path == HELPER or module.path in CLIENTS_IN_CHAOS:
        return []
    endless = [] if module.path in NOT_A_WAIT else _endless(module)
    sleeping = [] if module.path in LASTS_SO_LONG else _long_sleeps(module)
    return [*_loops(module), *endless, *_too_long(module), *sleeping]


def breaches_of(source: str) -> list[str]:
    """The same for a snippet."""
    return breaches(parse(source, "tests/snippet.py"))


def _loops(module: Module) -> Iterator[str]:
    """Loops that look again after a sleep; a `for` that only paces what it does has no way out of it."""
    for node in module.nodes:
        if not isinstance(node, ast.While | ast.For | ast.AsyncFor):
            continue
        within = [each for part in node.body for each in ast.walk(part)]
        if isinstance(node, ast.While) and all(isinstance(each, ast.Pass) for each in node.body):
            yield f"{module.at(node)} waits in a loop of its own; use {HELPER}"
            continue
        leaves = isinstance(node, ast.While) or any(isinstance(each, ast.Break | ast.Return) for each in within)
        if leaves and any(isinstance(each, ast.Call) and _sleeps(module, each) for each in within):
            yield f"{module.at(node)} waits in a loop of its own; use {HELPER}"


def _sleeps(module: Module, call: ast.Call) -> bool:
    waits = _method(call) == "wait_for_timeout" or (_method(call) == "wait" and bool(call.args))
    return waits or module.origin(call.func) in _SLEEPS


def _endless(module: Module) -> Iterator[str]:
    """Waits without a limit, or with one that says nothing when it is reached."""
    bounded = {
        id(each)
        for node in module.nodes
        if isinstance(node, ast.Call) and module.origin(node.func) == "tests.support.waiting.within"
        for each in node.args
    }
    awaited = {id(node.value) for node in module.nodes if isinstance(node, ast.Await)}
    servers = _functions_named(module, SERVERS_THAT_HANG.get(module.path, ""))
    for node in module.nodes:
        if not isinstance(node, ast.Call) or id(node) in bounded or id(node) in servers:
            continue
        if module.origin(node.func) in _SILENT:
            yield f"{module.at(node)} says nothing when it is over; use {HELPER}"
        elif _has_no_limit(module, node, awaited=id(node) in awaited):
            yield f"{module.at(node)} may wait for ever; use {HELPER}"


def _has_no_limit(module: Module, call: ast.Call, *, awaited: bool) -> bool:
    limit = next((each.value for each in call.keywords if each.arg == "timeout"), None)
    without = limit is None or (isinstance(limit, ast.Constant) and limit.value is None)
    if module.origin(call.func) in _ENDLESS_FUNCTIONS:
        return without and not any(each.arg is None for each in call.keywords)  # `**options` may hold one
    if _method(call) not in _ENDLESS and not (awaited and _method(call) == "get"):
        return False
    first = call.args[0] if call.args else None
    given = (isinstance(first, ast.Constant) and first.value is None) or first is None
    return given and without and all(each.arg == "timeout" for each in call.keywords)


def _functions_named(module: Module, name: str) -> set[int]:
    """All that is in functions called so."""
    functions = (node for node in module.nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {id(each) for function in functions if function.name == name for each in ast.walk(function)}


def _too_long(module: Module) -> Iterator[str]:
    for node in module.nodes:
        if not isinstance(node, ast.Call) or "mark" in ast.unparse(node.func):
            continue
        if module.origin(node.func) == "datetime.timedelta":
            continue
        limits = [each.value for each in node.keywords if each.arg in {"timeout", "seconds"}]
        limits += node.args[:1] if _method(node) in _ENDLESS else []
        unit = 0.001 if module.origin(node.func).startswith("playwright.") else 1.0
        if any(_seconds(module, limit) * unit > LONGEST_SECONDS for limit in limits):
            yield f"{module.at(node)} waits longer than {LONGEST_SECONDS:g} s"


def _long_sleeps(module: Module) -> Iterator[str]:
    for node in module.nodes:
        if not isinstance(node, ast.Call) or module.origin(node.func) not in _SLEEPS or not node.args:
            continue
        if _seconds(module, node.args[0]) > _LONGEST_SLEEP_SECONDS:
            yield f"{module.at(node)} sleeps for luck; use {HELPER}"


def _seconds(module: Module, limit: ast.expr) -> float:
    if module.origin(limit) in _START:
        return 0.0
    return number(module, limit, _START) or 0.0


def _method(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""
