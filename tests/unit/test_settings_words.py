"""What cannot be used is told in one line: the setting, what it got, what to do, and nothing of a secret."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from cli.surroundings import stop, warn_of_names
from config.env_file import slips
from config.former_names import FORMER, former_names
from config.proxies import proxy_trouble, usable_proxies
from config.settings import Settings, SettingsError, load_settings
from config.values import masked, masked_within

ROOT = Path(__file__).parents[2]
ENCODE = "must be percent-encoded"
DATABASE = "the address of a PostgreSQL"
IN_A_HEADER = (
    *("API_KEY", "TEMPORAL_API_KEY", "WHATSAPP_ACCESS_TOKEN", "WHATSAPP_APP_SECRET", "WHATSAPP_VERIFY_TOKEN"),
    *("TWILIO_AUTH_TOKEN", "ADMIN_LINK_TOKEN"),
)
NOT_IN_A_HEADER = (
    "hidden\n",
    "hidden\r\n",
    " hidden",
    "hid\nden",
    "“hidden”",
    "hidden\N{NO-BREAK SPACE}",
    "hidden\udcff",
)
NOT_ONE_LINE = ("hidden\n", " hidden", "hid\nden", "hid\tden", "hidden\N{NO-BREAK SPACE}", "hidden\udcff\udcfe")
REFUSED = [
    ("ALLOWED_ORIGINS", "*", "origins of pages"),
    ("ALLOWED_ORIGINS", "https://shop.example/cart", "origins of pages"),
    ("ALLOWED_ORIGINS", "https://ok.example,https://ana@shop.example", "origins of pages"),
    ("ALLOWED_ORIGINS", "shop.example", "got"),
    ("HOST", "http://0.0.0.0", "an address of this machine"),
    ("HOST", "*", "an address of this machine"),
    ("PORT", "tcp://10.0.0.1:80", "got 'tcp://10.0.0.1:80'; a whole number from 1 to 65,535"),
    ("PORT", "http", "got 'http'; a whole number from 1 to 65,535"),
    ("PORT", "70000", "got '70000'; a whole number from 1 to 65,535"),
    ("PORT", "8000.5", "got '8000.5'; a whole number from 1 to 65,535"),
    ("EPHEMERAL", "maybe", "got 'maybe'; 0 or 1"),
    ("WHATSAPP_PHONE", "perhaps", "got 'perhaps'; 0 or 1"),
    ("STOP_SECONDS", "8s", "got '8s'; a number above 0 to 31,536,000"),
    ("STOP_SECONDS", "nan", "got 'nan'; a number above 0 to 31,536,000"),
    ("SIMULATOR_PACE", "-1", "got '-1'; a number from 0.0 to 100.0"),
    ("DISK_FREE_BYTES", "1GB", "got '1GB'; a whole number from 0"),
    ("TEMPORAL_TASK_QUEUE", "q" * 201, "text of 1 to 200 characters"),
    ("WHATSAPP_PHONE_NUMBER_ID", "+1555", "got '+1555'; text of the form ^[0-9]{1,64}$"),
    ("DEFAULT_ACCOUNT_NAME", "\udcff", "text in UTF-8"),
    ("TEMPORAL_PORT", "tcp://10.3.2.1:7233", "'tcp://10.3.2.1:7233'"),
    ("LOG_LEVEL", "VERBOSE", "'debug', 'info', 'warning' or 'error'"),
    ("DATA_DIR", "a\nb", "without line breaks"),
    ("DATABASE_URL", "sqlite:///x.db", DATABASE),
    ("DATABASE_URL", "mysql://root:hidden@db/x", DATABASE),
    ("DATABASE_URL", "db.internal:5432", DATABASE),
    ("DATABASE_URL", "postgresql://ana:hid@den:w/o#r@127.0.0.1:5432/utf", ENCODE),
    ("DATABASE_URL", "postgresql://ana:hidden#r@127.0.0.1/utf", ENCODE),
    ("DATABASE_URL", "postgresql://ana:hidden?r@127.0.0.1/utf", ENCODE),
    ("DATABASE_URL", "postgresql://ana:12/hidden@127.0.0.1/utf", ENCODE),
    ("DATABASE_URL", "postgresql://ana:hidden%zz@127.0.0.1/utf", ENCODE),
    ("DATABASE_URL", "postgresql://ana:hid den@127.0.0.1/utf", ENCODE),
    ("DATABASE_URL", "postgresql://ana:[hidden@127.0.0.1/utf", ENCODE),
    ("DATABASE_URL", "postgresql://127.0.0.1:70000/utf", "a port from 1 to 65,535"),
    ("DATABASE_URL", "postgresql://ana:hidden@db.internal:54321x/utf", "a port from 1 to 65,535"),
    ("DATABASE_URL", "postgresql://ana:hidden@127.0.0.1,/utf", "a host on each side of every comma"),
    ("DATABASE_URL", "postgresql://ana@127.0.0.1/utf?password=s3 hidden", ENCODE),
    ("DATABASE_URL", r"host=h user=ana password='it\'s hidden'", DATABASE),
    ("DATABASE_URL", r"host=h password=s3\ hidden user=ana", DATABASE),
    ("DATABASE_URL", "host=h password='it's hidden'", DATABASE),
    ("DATABASE_URL", "host=h password=s3&hidden user=ana", DATABASE),
    ("DATABASE_URL", "ana:hidden@127.0.0.1/utf", DATABASE),
    ("DATABASE_URL", "host=127.0.0.1 password=hidden", DATABASE),
    ("TEMPORAL_ADDRESS", "http://temporal:7233", "host:port without a scheme"),
    ("TEMPORAL_ADDRESS", "temporal", "host:port without a scheme"),
    ("PERPLEXITY_BASE_URL", "wrapper:9000", "http:// or https://"),
    ("PERPLEXITY_BASE_URL", "http://", "http:// or https://"),
    ("PERPLEXITY_BASE_URL", "http://ana:hidden@wrapper:port", "http:// or https://"),
    ("PERPLEXITY_BASE_URL", "http://[::1", "http:// or https://"),
    ("ENDPOINT_PRIVATE_HOSTS", "billing:8080", '["billing:8080"]'),
    ("ENDPOINT_PRIVATE_HOSTS", '{"a": 1}', '["billing:8080"]'),
    ("PERPLEXITY_BASE_URL", "https://h/?token=s3 hidden", "http:// or https://"),
    ("PERPLEXITY_BASE_URL", "http://a..b", "http:// or https://"),
    ("TEMPORAL_ADDRESS", "[fe80::1%lo]:7233", "host:port without a scheme"),
    ("TEMPORAL_ADDRESS", "[::::]:7233", "host:port without a scheme"),
    ("TEMPORAL_ADDRESS", "%:7233", "host:port without a scheme"),
    ("TEMPORAL_TASK_QUEUE", "/_sys/x", "that does not begin with /_sys/"),
    ("TEMPORAL_NAMESPACE", "a\nb", "a name on one line"),
    ("TEMPORAL_NAMESPACE", "a\udcff", "a name on one line"),
    ("DATA_DIR", "/a" * 2_000, "a path of at most 3,500 bytes"),
    ("TEMPORAL_TLS_CA", "/a" * 2_000, "a path of at most 3,500 bytes"),
    ("TEMPORAL_TLS_CA", "/dev/null/x", "a file that is there and that this user can read"),
    ("TWILIO_ACCOUNT_SID", "AC123:hidden", "got a value that is not shown"),
    ("WHATSAPP_PHONE_NUMBER_ID", "EAAGhidden", "got a value that is not shown"),
    ("ENDPOINT_PRIVATE_HOSTS", '[{"host":"http://ana:hidden@crm"}]', "JSON that is not shown"),
    ("ENDPOINT_PRIVATE_HOSTS", '{"password": "hidden"}', "JSON that is not shown"),
    ("ENDPOINT_PRIVATE_HOSTS", "[" * 20_000, "JSON, like"),
    ("ENDPOINT_SECRETS", '{"sk_live_hidden": null}', "got a value that is not shown"),
    ("ENDPOINT_SECRETS", '{"sk_live_hidden": "a\\nb"}', "got a value that is not shown"),
    ("ENDPOINT_SECRETS", "crm=hidden", "JSON, like"),
    ("ENDPOINT_SECRETS", '{"crm": ["hidden"]}', "ENDPOINT_SECRETS: got a value that is not shown; Input"),
    ("ENDPOINT_SECRETS", '{"crm": "hidden\\r\\nX: y"}', "one line of ASCII"),
    ("ENDPOINT_SECRETS", '{"Bearer hidden": "crm"}', "names of secrets have at most 200 characters"),
    ("ENDPOINT_SECRETS", '{"": "hidden"}', "names of secrets have at most 200 characters"),
    ("API_KEY", "hid den", "without blanks"),
    ("ADMIN_EMAIL", "ann", "an e-mail address, like ann@example.org"),
    ("ADMIN_PASSWORD", "hidden", "10 to 1,000 characters"),
    ("TRUSTED_PROXIES", "proxy.internal", "addresses and networks, like 127.0.0.1,10.0.0.0/8"),
    ("TRUSTED_PROXIES", "*", "addresses and networks"),
    ("TRUSTED_PROXIES", "10.0.0.1/8", "addresses and networks"),
    *((name, value, "signs of ASCII, without blanks") for name in IN_A_HEADER for value in NOT_IN_A_HEADER),
    *((name, value, "one line of UTF-8") for name in ("SECRET_KEY", "ADMIN_PASSWORD") for value in NOT_ONE_LINE),
]

UNUSABLE_PROXIES = [
    "socks4://p:1",
    "junk://p:1",
    "http://",
    "http://p:port",
    "http://u:hidden@p:0x",
    "http://u:hid/den@p:3128",
    "http://u:hid#den@p:3128",
    "http://u:hid?den@p:3128",
    "http://u:hid@den@p:0x",
    "u:hidden@p:99999",
    "u:hid/den@p:3128",
]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def refusal() -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings()
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert len(line) < 500
    return line


@pytest.mark.parametrize(("name", "value", "words"), REFUSED)
def test_a_value_that_cannot_be_ours(monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str) -> None:
    monkeypatch.setenv(name, value)

    line = refusal()

    assert line.startswith(name)
    assert words in line
    assert not any(piece in line for piece in ("hid", "den", "w/o")), line


def test_a_long_value_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "x" * 5_000)

    assert "LOG_LEVEL: got 'xxx" in refusal()


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("LOG_LEVEL", "WARNING", "warning"),
        ("LOG_LEVEL", "warn", "warning"),
        ("LOG_FORMAT", "JSON", "json"),
        ("HOST", "[::1]", "::1"),
        ("DATABASE_URL", "postgres://ana:pw@db/x", "postgresql://ana:pw@db/x"),
        ("DATABASE_URL", "postgresql+psycopg2://db/x", "postgresql://db/x"),
        ("DATABASE_URL", "postgresql://a:p%40ss@h1:1,h2:2/x", "postgresql://a:p%40ss@h1:1,h2:2/x"),
        ("PERPLEXITY_BASE_URL", " https://wrapper.internal/ ", "https://wrapper.internal"),
        ("TEMPORAL_ADDRESS", "[::1]:7233", "[::1]:7233"),
        ("TEMPORAL_ADDRESS", "temporal-1.a_b.internal.:7233", "temporal-1.a_b.internal.:7233"),
        ("PERPLEXITY_BASE_URL", "http://[fe80::1]:9000", "http://[fe80::1]:9000"),
        (
            "DATABASE_URL",
            "postgresql:///x?host=/var/run&options=-c%20a=b",
            "postgresql:///x?host=/var/run&options=-c%20a=b",
        ),
        ("DEFAULT_COLLECTION_UUID", "", None),
        ("EPHEMERAL", "yes", True),
        ("SECRET_KEY", "für uns: ab${c}d", SecretStr("für uns: ab${c}d")),
    ],
)
def test_a_value_written_otherwise(monkeypatch: pytest.MonkeyPatch, name: str, value: str, read: object) -> None:
    monkeypatch.setenv(name, value)

    assert getattr(load_settings(), name.lower()) == read


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("PORT=8123\r\n".encode("utf-16"), "is UTF-16, not UTF-8; save it as UTF-8"),
        ("PORT=8123\n".encode("utf-16-le"), "is UTF-16, not UTF-8; save it as UTF-8"),
        ("# Büro\nDEFAULT_ACCOUNT_NAME=Büro\n".encode("latin-1"), "line 1 is not UTF-8; save it as UTF-8"),
        ("PORT=8123\nDEFAULT_ACCOUNT_NAME=Büro\n".encode("latin-1"), "line 2 is not UTF-8"),
        (b'PORT=8123\n\nDEFAULT_MODE="pro\n', "line 3 is not NAME=value"),
        ("PORT=8123\r\n".encode("utf-16-be"), "is UTF-16, not UTF-8; save it as UTF-8 (iconv -f UTF-16BE -t UTF-8)"),
        ("PORT=8123\r\n".encode("utf-32"), "is UTF-32, not UTF-8; save it as UTF-8 (iconv -f UTF-32 -t UTF-8)"),
        ("PORT=8123\r\n".encode("utf-32-le"), "is UTF-32, not UTF-8; save it as UTF-8 (iconv -f UTF-32LE -t UTF-8)"),
        (b"PORT=8123\nDEFAULT_MODE=pro\0\nHOST=::\n", "line 2 holds a NUL character"),
        (
            "PORT=8123\nDEFAULT_ACCOUNT_NAME=默认\n".encode("gb18030"),
            "line 2 is not UTF-8; save it as UTF-8 in the editor",
        ),
    ],
)
def test_an_env_file_that_cannot_be_read(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / ".env").write_bytes(content)

    line = refusal()

    assert line.startswith(".env: ")
    assert words in line


@pytest.mark.parametrize("content", ["PORT=1\0", "PORT=默认\n"], ids=["a NUL", "GB18030"])
def test_no_command_is_advised_that_would_ruin_the_file(tmp_path: Path, content: str) -> None:
    (tmp_path / ".env").write_bytes(content.encode("gb18030"))

    line = refusal()

    assert "iconv -f UTF-16" not in line
    assert "iconv -f ISO-8859-1" not in line


@pytest.mark.parametrize("quote", ["", "'", '"'])
@pytest.mark.parametrize("value", ["ab${c}d", "ab${HOME}d", "ab$HOME", "${PORT:-1}", "a$$b", "100%"])
def test_a_value_of_the_env_file_is_taken_as_it_is_written(tmp_path: Path, quote: str, value: str) -> None:
    (tmp_path / ".env").write_text(f"SECRET_KEY={quote}{value}{quote}\nPORT=8123\n")

    key = load_settings().secret_key

    assert key == SecretStr(value)


def test_the_environment_wins_over_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("PORT=8123\nhost=0.0.0.0\nDATA_DIR=\nEPHEMERAL\n")
    monkeypatch.setenv("PORT", "8124")
    monkeypatch.setenv("HOST", "")

    settings = load_settings(log_level="error")

    assert (settings.port, settings.host, settings.log_level) == (8124, "0.0.0.0", "error")
    assert settings.model_fields_set == {"port", "host", "log_level"}


def test_an_env_file_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()

    assert refusal().startswith(".env: is a folder")


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfPORT=8123\nDEFAULT_ACCOUNT_NAME=B\xc3\xbcro\n",
        b"PORT=8123\r\nDEFAULT_ACCOUNT_NAME=B\xc3\xbcro\r\n",
        "export PORT=8123\nexport DEFAULT_ACCOUNT_NAME='Büro'\n".encode(),
        'PORT = "8123"  # ours\nDEFAULT_ACCOUNT_NAME = Büro # a remark\n'.encode(),
    ],
)
def test_an_env_file_as_editors_leave_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".env").write_bytes(content)

    settings = load_settings()

    assert (settings.port, settings.default_account_name) == (8123, "Büro")


def test_a_slip_of_a_name(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PERPLEXITY_BASE_ULR=http://x\nSOMETHING_ELSE=1\nPORT=8123\n")

    found = slips(tmp_path / ".env", (name.upper() for name in Settings.model_fields))

    assert [line.split(": ")[1] for line in found] == ["PERPLEXITY_BASE_ULR is not a setting; PERPLEXITY_BASE_URL is"]


def test_a_former_name_is_named_with_the_new_one_wherever_it_is_set(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("worker_record_seconds=2\nRECORDING=1\nPORT=8123\n")

    told = former_names({"RECORD_TIMEOUT_SECONDS": "3", "PATH": "/bin", "ACCOUNT_WAIT_SECONDS": "1"}, tmp_path / ".env")

    assert told == [
        "the environment: RECORD_TIMEOUT_SECONDS is no setting any more and has no effect; "
        "it is called DATABASE_ACTIVITY_SECONDS now",
        "the environment: ACCOUNT_WAIT_SECONDS is no setting any more and has no effect; nothing takes its place",
        f"{tmp_path / '.env'}: WORKER_RECORD_SECONDS is no setting any more and has no effect; "
        "it is called WORKER_LAST_WRITE_SECONDS now",
    ]


@pytest.mark.parametrize("name", ["METRICS_DIR", "STREAM_KEEPALIVE_SECONDS"])
def test_a_setting_that_nothing_took_the_place_of_is_named(tmp_path: Path, name: str) -> None:
    [told] = former_names({name: "1"}, tmp_path / ".env")

    assert told.endswith(f"{name} is no setting any more and has no effect; nothing takes its place")


def test_nothing_is_said_of_what_is_not_set(capsys: pytest.CaptureFixture[str]) -> None:
    warn_of_names()

    assert capsys.readouterr().err == ""


def test_each_setting_is_read_somewhere() -> None:
    sources = [path for path in ROOT.glob("*/**/*.py") if path.relative_to(ROOT).parts[0] not in {".venv", "tests"}]
    text = "\n".join(path.read_text() for path in sources)

    unread = [name.upper() for name in Settings.model_fields if not re.search(rf"\.{name}\b|\"{name}\"", text)]

    assert unread == []


def test_a_former_name_is_no_setting_and_the_new_one_is() -> None:
    settings = {name.upper() for name in Settings.model_fields}

    assert not settings & FORMER.keys()
    assert {new for new in FORMER.values() if new} <= settings


@pytest.mark.parametrize(
    "value",
    ["http://p:3128", "https://p", "socks5://127.0.0.1:1080/", "socks5h://u:pw@p:1", "p:3128", "http://[::1]:3128", ""],
)
def test_a_proxy_that_can_be_used(value: str) -> None:
    assert proxy_trouble({"ALL_PROXY": value, "https_proxy": value, "NO_PROXY": "[::1], *.x,, /"}) is None


@pytest.mark.parametrize("value", UNUSABLE_PROXIES)
def test_a_proxy_that_cannot_be_used(value: str) -> None:
    line = proxy_trouble({"https_proxy": value}) or ""

    assert line.startswith("https_proxy: got ")
    assert "socks5h://" in line
    assert not any(piece in line for piece in ("hid", "den")), line


def test_what_a_desktop_writes_is_socks_5() -> None:
    environment = {"ALL_PROXY": "socks://127.0.0.1:1080/", "HTTP_PROXY": "http://p:1"}

    assert usable_proxies(environment) == {"ALL_PROXY": "socks5://127.0.0.1:1080/"}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ana:pw@h/x?sslpassword=pw", "postgresql://ana:…@h/x?sslpassword=…"),
        ("postgresql://ana@h/x", "postgresql://ana@h/x"),
        ("postgresql://ana:p@w:d/o#r@h/x", "postgresql://…@h/x"),
        ("postgresql://ana:p@w@h/x?sslpassword=pw", "postgresql://…@h/x?sslpassword=…"),
        ("host=h password='p w' user=ana", "host=h password=… user=ana"),
        ("http://ana:p/w@h:3128", "http://…@h:3128"),
        ("http://ana:p#w@h:3128", "http://…@h:3128"),
        ("http://ana:p?w@h:3128", "http://…@h:3128"),
        ("http://ana:p@w@h:3128", "http://…@h:3128"),
        ("http://token@h/v1", "http://…@h/v1"),
        ("http://h/v1?api_key=pw", "http://h/v1?api_key=…"),
        ("http://h:8000/v1", "http://h:8000/v1"),
        ("http://h:pw", "http://…"),
        ("ana:pw@h:99999", "…@h:99999"),
        ("ana:p/w?x#y@h", "…@h"),
        ("ana:p://w@h", "…@h"),
        ("h:3128", "h:3128"),
        ("no address", "no address"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert masked(url) == shown


@pytest.mark.parametrize("name", ["TEMPORAL_TLS_CERT", "TEMPORAL_TLS_KEY", "TEMPORAL_TLS_CA"])
def test_a_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "/nowhere/client.pem")

    line = refusal()

    assert line.startswith(f"{name}: got ")
    assert line.endswith("a file that is there and that this user can read")


def test_a_data_folder_whose_name_no_disk_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", "x" * 300)

    assert refusal().startswith("DATA_DIR: got ")


def test_settings_that_lead_nowhere_on_purpose_are_none() -> None:
    Path(".env").symlink_to(os.devnull)

    assert load_settings().port == 8000


@pytest.mark.timeout(20)
def test_settings_that_are_a_pipe_are_not_waited_for() -> None:
    os.mkfifo(".env")

    assert refusal() == ".env: is no file, and a file of settings is expected there; move it away"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("no answer at http://h:8000: refused", "no answer at http://h:8000: refused"),
        ('url = "http://ana:p/w@h", (ana:p@w@h:1)', 'url = "http://…@h", (…@h:1)'),
        ("postgresql://ana:pw@h/x, then ana@example.org", "postgresql://ana:…@h/x, then ana@example.org"),
    ],
)
def test_running_text_is_shown_without_the_passwords_of_its_addresses(said: str, shown: str) -> None:
    assert masked_within(said) == shown


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_warning_that_nobody_can_read_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    full = open("/dev/full", "w")  # noqa: SIM115 - closing it fails, too
    monkeypatch.setattr("sys.stderr", full)
    try:
        warn_of_names()

        assert stop("PORT: got x").exit_code == 2
    finally:
        with contextlib.suppress(OSError):
            full.close()
