"""Makes `.venv` from `requirements.lock`: what `make install` runs, and every other target first.

It needs Python 3.11 or newer and nothing else, knows no address of any registry (pip's configuration says where
packages come from, and is handed to uv), and does nothing when the lock has not changed since the last time.
`bootstrap.py browser` gets a Chromium for the browser tests.
"""

from __future__ import annotations

import ast
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / ".installed"

OLDEST = (3, 11)
NEWER_PYTHONS = ("python3.14", "python3.13", "python3.12", "python3.11")
UV = "uv==0.13.9"
SYSTEM_PACKAGES = ("python3-venv", "python3-pip")
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
APT_SECONDS = 900

ELSEWHERE = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "UV_TARGET", "UV_PREFIX", "UV_SYSTEM_PYTHON")
"""Variables that would put packages into another place than .venv."""

PROXIES = ("http_proxy", "https_proxy", "all_proxy")
FREE_BYTES = 1_000_000_000  # .venv takes 600 MB, and while packages are unpacked more


def main() -> None:
    if sys.version_info < OLDEST:
        use_newer_python()
    if sys.argv[1:] == ["browser"]:
        find_browser()
        return
    os.chdir(ROOT)
    os.umask(os.umask(0) & 0o077)  # a umask may not close our files to ourselves
    folder = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)  # two `make` at once: the second waits, then finds everything done
    if not (STAMP.exists() and STAMP.read_text() == fingerprint() and works(VENV_PYTHON)):
        install()
        STAMP.write_text(fingerprint())


def fingerprint() -> str:
    """What an installation depends on: the lock, the project's own metadata, and where it lies."""
    digest = hashlib.sha256(os.fsencode(ROOT))
    for path in (LOCK, ROOT / "pyproject.toml"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def install() -> None:
    say("installing into .venv (the first time this takes a minute or two)")
    if any(sign in str(ROOT) for sign in (os.pathsep, "\n")):
        stop(f"{str(ROOT)!a}: Python makes no .venv in a path with a colon or a line break; move the checkout")
    if shutil.disk_usage(ROOT).free < FREE_BYTES:
        say(f"little room on the disk of {ROOT}: .venv needs about {FREE_BYTES // 1_000_000} MB")
    clean_environment()
    pip = make_venv()
    settings = pip_settings(pip)
    if not (run([*pip, "install", "--quiet", UV]) and install_by_uv(settings)):
        say("uv did not do it; trying again with pip, which takes longer")
        install_by_pip(pip)
    name_checkout_relatively()


def name_checkout_relatively() -> None:
    """Python reads the file that leads to our code in the locale's encoding, and does not start if it cannot."""
    for path in VENV.glob("lib/python*/site-packages/*perplexity_agent*.pth"):
        path.unlink()  # it may be the same file as uv's copy in its cache
        path.write_text(os.path.relpath(ROOT, path.parent.resolve()) + "\n")


def clean_environment() -> None:
    """Takes out what would lead the installation astray."""
    for name in ELSEWHERE:
        os.environ.pop(name, None)
    for name, value in set_proxies().items():
        if value.lower().startswith("socks"):
            say(f"{name}: pip cannot use a SOCKS proxy; packages are fetched without it")
            del os.environ[name]


def set_proxies() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.lower() in PROXIES and value}


def make_venv() -> list[str]:
    """`.venv` with an interpreter that works; the command of a pip that installs into it."""
    if not works(VENV_PYTHON):
        shutil.rmtree(VENV, ignore_errors=True)
        require_pip()
        without = [] if has("ensurepip") else ["--without-pip"]
        run([sys.executable, "-m", "venv", *without, str(VENV)]) or stop("could not make .venv; see above")
    if works(VENV_PYTHON, "import pip"):
        return [str(VENV_PYTHON), "-m", "pip"]
    require_pip()
    if not has("pip"):
        run([str(VENV_PYTHON), "-m", "ensurepip", "--default-pip"]) or stop("could not put pip into .venv; see above")
        return [str(VENV_PYTHON), "-m", "pip"]
    return [sys.executable, "-m", "pip", "--python", str(VENV_PYTHON)]


def require_pip() -> None:
    """Debian keeps ensurepip and pip in packages of their own; either of them will do."""
    if has("ensurepip") or has("pip"):
        return
    packages = " ".join(SYSTEM_PACKAGES)
    if not (can_use_apt() and apt_install(SYSTEM_PACKAGES)):
        stop(f"this Python has no pip: install {packages} first (as root: apt-get install {packages})")
    importlib.invalidate_caches()


def install_by_uv(settings: dict[str, str]) -> bool:
    # Compiled once here, or every process of ours would compile hundreds of modules at its start.
    compiled = ["--compile-bytecode", "--python", str(VENV_PYTHON)]
    uv = [str(VENV / "bin" / "uv"), "pip", "install", *compiled, *uv_options(settings)]
    environment = uv_environment(settings)
    return run([*uv, "--require-hashes", "-r", str(LOCK)], environment) and run(
        [*uv, "--no-deps", "--editable", "."], environment
    )


def install_by_pip(pip: list[str]) -> None:
    done = run([*pip, "install", "--require-hashes", "-r", str(LOCK)]) and run(
        [*pip, "install", "--no-deps", "--editable", "."]
    )
    if not done:
        stop(f"the packages could not be installed; see above. {what_may_be_wrong()}")


def what_may_be_wrong() -> str:
    if shutil.disk_usage(ROOT).free < FREE_BYTES // 10:
        return f"The disk of {ROOT} is full: make room"
    through = f", through {', '.join(set_proxies())}" if set_proxies() else ""
    return f"Is the package index reachable (`pip config list`){through}?"


def pip_settings(pip: list[str]) -> dict[str, str]:
    """pip's own configuration by plain names (`index-url`, …): files first, environment last."""
    said = subprocess.run([*pip, "config", "list"], stdout=subprocess.PIPE, check=False).stdout
    listed = said.decode(errors="replace")
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.rpartition(".")
        if section in found:
            found[section][option] = str(ast.literal_eval(value))
    return {**found["global"], **found["install"], **found[":env:"]}


def uv_options(settings: dict[str, str]) -> list[str]:
    """Where packages come from, in uv's words. What the user told uv itself is left alone."""
    options: list[str] = []
    if "index-url" in settings and not ({"UV_DEFAULT_INDEX", "UV_INDEX_URL"} & set(os.environ)):
        options += ["--default-index", settings["index-url"]]
    for url in settings.get("extra-index-url", "").split():
        options += ["--index", url, "--index-strategy", "unsafe-best-match"]  # as pip does; the hashes guard it
    for place in settings.get("find-links", "").split():
        if "://" in place or Path(place).exists():
            options += ["--find-links", place]
    for host in settings.get("trusted-host", "").split():
        options += ["--allow-insecure-host", host]
    if settings.get("no-index", "").lower() in {"1", "true", "yes", "on"}:
        options += ["--no-index"]
    return options


def uv_environment(settings: dict[str, str]) -> dict[str, str]:
    """How to get there, in uv's words; without a certificate of pip's, the system's are believed, as pip does."""
    known = {
        "SSL_CERT_FILE": settings.get("cert"),
        "SSL_CLIENT_CERT": settings.get("client-cert"),
        "ALL_PROXY": settings.get("proxy"),
        "UV_HTTP_TIMEOUT": settings.get("timeout") or settings.get("default-timeout"),
        "UV_SYSTEM_CERTS": None if "cert" in settings else "true",
        "UV_NO_PROGRESS": None if sys.stderr.isatty() else "1",
        "UV_NO_CACHE": None if has_writable_home() else "1",
    }
    return {**{name: value for name, value in known.items() if value}, **os.environ}


def has_writable_home() -> bool:
    home = os.path.expanduser("~")
    return os.path.isdir(home) and os.access(home, os.W_OK)


def use_newer_python() -> None:
    for name in NEWER_PYTHONS:
        found = shutil.which(name)
        if found and works(Path(found)):
            os.execv(found, [found, *sys.argv])
    stop(
        "Python 3.11 or newer is needed, {} is {}.{}: install one, or say `make PYTHON=/path/to/python3`".format(
            sys.executable, *sys.version_info[:2]
        )
    )


def find_browser() -> None:
    """A Chromium for the browser tests: as root on Debian it is installed; else those tests say why they do not run."""
    if any(shutil.which(name) for name in CHROMIUMS):
        return
    if not (can_use_apt() and apt_install(("chromium",))):
        say("no Chromium here: the browser tests will say so and not run (Debian: apt-get install chromium)")


def can_use_apt() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt_install(packages: tuple[str, ...]) -> bool:
    say("apt-get install {}".format(" ".join(packages)))
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    return run(command, environment) or (run(["apt-get", "update", "-q"], environment) and run(command, environment))


def has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def works(python: Path, code: str = "") -> bool:
    """Whether this interpreter runs *code* and is new enough; one left by a moved folder or an old Python does not."""
    check = f"import sys; assert sys.version_info >= {OLDEST}; {code}"
    try:
        done = subprocess.run([str(python), "-c", check], stderr=subprocess.DEVNULL, check=False)
    except OSError:
        return False
    return done.returncode == 0


def run(command: list[str], environment: dict[str, str] | None = None) -> bool:
    try:
        return subprocess.run(command, env=environment, check=False, timeout=APT_SECONDS).returncode == 0
    except (OSError, subprocess.TimeoutExpired) as error:
        say(str(error))
        return False


def say(text: str) -> None:
    print(f"==> {text}", file=sys.stderr, flush=True)


def stop(reason: str) -> None:
    sys.exit(f"==> {reason}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
