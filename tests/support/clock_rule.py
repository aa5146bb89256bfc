"""No test depends on the calendar: the day's time comes from `tests/support/clock.py`, a fixed date never meets it.

PostgreSQL's and Temporal's own clocks are theirs: what is compared with them is timed by them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

from tests.support.sources import Module, imported_names, modules_of_tests, number, parse, reached

CLOCK = "tests/support/clock.py"
ABOUT_THE_CLOCK = {
    "tests/unit/test_clock.py": "gives the clock's pure part instants of its own",
    "tests/unit/test_clock_rule.py": "shows what this rule sees, as text",
}

_READS = {
    "config.clock.utc_now",
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "email.utils.make_msgid",
    "time.clock_gettime",
    "time.clock_gettime_ns",
    "time.time",
    "time.time_ns",
    "uuid.uuid1",
    "uuid.uuid6",
    "uuid.uuid7",
}
_FROM_FIGURES = {"datetime.datetime", "datetime.date", "datetime.date.fromordinal", "calendar.timegm"}
"""A day, where the first figure that they are given can be read off."""

_CLOCK_OF_SQL = re.compile(
    r"(?<![\w.])(?:now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\(\)"
    r"|\b(?:current_(?:timestamp|date|time)|localtimestamp)\b",
    re.IGNORECASE,
)
_SQL = re.compile(r"\b(?:SELECT|INSERT|UPDATE|DELETE|VALUES|WHERE|SET|DEFAULT)\b")
_CLOCK_OF_PAGES = re.compile(r"\bDate\.now\(|\bnew Date\(\)")
_READS_UNLESS_TOLD = {
    "email.utils.formatdate": 1,
    "email.utils.localtime": 1,
    "time.asctime": 1,
    "time.ctime": 1,
    "time.gmtime": 1,
    "time.localtime": 1,
    "time.strftime": 2,
}
"""With so many arguments they are about the time that they are given."""

_PROCESSES = ("subprocess", "multiprocessing", "psutil", "playwright", "asyncio.create_subprocess")
_SERVERS = {"system", "postgres_url", "temporal_address", "program", "page"}
"""Fixtures: whoever takes one talks to something that reads the real clock."""

_MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_YEAR = r"(?:19[7-9]|20[0-9])[0-9]"
_WRITTEN_DATE = re.compile(
    rf"(?<![\d/]){_YEAR}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?!\d)"  # not the version in a path of an API
    rf"|(?<!\d){_YEAR}[01]\d[0-3]\dT\d{{4}}"
    rf"|(?<!\d)\d{{1,2}}[ -](?:{_MONTHS})[a-z]*[ -]{_YEAR}(?!\d)"
    rf"|(?<!\d)\d{{1,2}}[/.]\d{{1,2}}[/.]{_YEAR}(?!\d)"
    rf"|(?<![\d/.]){_YEAR}/(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12]\d|3[01])(?!\d)"
    rf"|(?<![\w.-]){_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?![\w.])"
    rf"|(?<!\d){_YEAR}-?W[0-5]\d(?!\d)"
    rf"|\b(?:{_MONTHS})[a-z]*\.? \d{{1,2}},? {_YEAR}(?!\d)"
)
_DIGITS = re.compile(r"(?<![\d.])\d{10}(?:\d{3})?(?![\d])")
_EPOCHS = range(1_600_000_000, 4_102_444_800)
"""Unix seconds from 2020 to 2099; the same in milliseconds."""


def clock_reads(module: Module) -> Iterator[str]:
    """Where *module* reads the time of day, or hands on what would: in Python, in a statement, in a page."""
    yield from _written_reads(module)
    told = {
        id(node.func)
        for node in module.nodes
        if isinstance(node, ast.Call) and len(node.args) >= _READS_UNLESS_TOLD.get(module.origin(node.func), 99)
    }
    for node in module.nodes:
        if not isinstance(node, ast.Name | ast.Attribute) or not isinstance(node.ctx, ast.Load) or id(node) in told:
            continue
        if module.origin(node) in _READS or module.origin(node) in _READS_UNLESS_TOLD:
            yield module.at(node)


def _written_reads(module: Module) -> Iterator[str]:
    if not module.path.startswith("tests/") or module.path in ABOUT_THE_CLOCK:
        return
    prose = {id(node.value) for node in module.nodes if isinstance(node, ast.Expr)}
    for node in module.nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            asks_sql = _SQL.search(node.value) and _CLOCK_OF_SQL.search(node.value)
            if asks_sql or _CLOCK_OF_PAGES.search(node.value):
                yield module.at(node)


def fixed_dates(module: Module) -> Iterator[str]:
    """Days and instants that stand in *module* as such, its docstrings apart."""
    prose = {id(node.value) for node in module.nodes if isinstance(node, ast.Expr)}
    for node in module.nodes:
        if isinstance(node, ast.Constant) and id(node) not in prose and _is_date(node.value):
            yield module.at(node)
        elif isinstance(node, ast.Call) and module.origin(node.func) in _FROM_FIGURES:
            given = [*node.args, *(each.value for each in node.keywords if each.arg == "year")][:1]
            first = (
                given[0].elts[0] if given and isinstance(given[0], ast.Tuple) and given[0].elts else [*given, None][0]
            )
            if number(module, first) is not None:
                yield module.at(node)


def _is_date(value: object) -> bool:
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        numbers = [int(digits) for digits in _DIGITS.findall(value)]
        return bool(_WRITTEN_DATE.search(value)) or any(map(_is_epoch, numbers))
    return isinstance(value, int | float) and _is_epoch(int(value) if value == value and abs(value) < 1e15 else 0)


def _is_epoch(number: int) -> bool:
    return number in _EPOCHS or (number > 1e12 and number // 1_000 in _EPOCHS)


def meets_a_clock(module: Module) -> str:
    """Why a fixed date in *module* could meet the real clock; empty where all that is near it is given its time."""
    if why := _reaches_a_clock(module):
        return why
    for user in modules_of_tests():
        if module.path in {each.path for each in reached(user)} and (why := _reaches_a_clock(user)):
            return f"is used by {user.path}, which {why}"
    return ""


@cache
def _reaches_a_clock(module: Module) -> str:
    for each in reached(module):
        if why := _goes_out(each):
            return f"reaches {why}"
    fixtures = {
        argument.arg
        for node in module.nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for argument in node.args.args
    }
    return f"takes {', '.join(sorted(fixtures & _SERVERS))}" if fixtures & _SERVERS else ""


@cache
def _goes_out(module: Module) -> str:
    """The first place where *module* itself reads the clock or starts a process."""
    for read in clock_reads(module):
        return read
    others = sorted(name for name in imported_names(module) if name.startswith(_PROCESSES))
    return f"other processes by {others[0]} in {module.path}" if others else ""


def breaches(module: Module) -> list[str]:
    """What *module*, of tests/, does against the rule."""
    if module.path == CLOCK:
        return []
    found = [f"{read} reads the clock; ask {CLOCK}" for read in clock_reads(module)]
    dates = [] if module.path in ABOUT_THE_CLOCK else list(fixed_dates(module))
    if dates and (why := meets_a_clock(module)):
        found += [f"{date} is a fixed date, and the module {why}" for date in dates]
    return found


def breaches_of(source: str, path: str = "tests/snippet.py") -> list[str]:
    """The same for a snippet, as if it stood at *path*."""
    return breaches(parse(source, path))
