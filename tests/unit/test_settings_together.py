"""Settings that need each other, and variables of libraries: one line at the start, and nothing of a secret."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from config.libraries import trouble_with_libraries, trouble_with_metrics
from config.settings import Settings
from config.together import half_set

META = {"whatsapp_access_token": "hidden1", "whatsapp_app_secret": "hidden2", "whatsapp_verify_token": "hidden3"}
TWILIO = {"twilio_account_sid": "AC1", "twilio_auth_token": "hidden4"}
ADMIN = {"admin_email": "Ann@Example.org", "admin_password": "hidden-5-hidden"}
TEMPORAL = {"temporal_address": "temporal.internal:7233"}


def told(**values: object) -> str | None:
    line = half_set(Settings(_env_file=None, **values))  # type: ignore[call-arg, arg-type]
    assert "hidden" not in (line or "")
    return line


@pytest.mark.parametrize("name", ["temporal_api_key", "temporal_tls_ca"])
def test_what_is_for_another_temporal_needs_its_address(name: str) -> None:
    value = "hidden" if name == "temporal_api_key" else Path(__file__)

    assert (told(**{name: value}) or "").startswith(f"{name.upper()}: needs TEMPORAL_ADDRESS")
    assert told(**{name: value}, **TEMPORAL) is None


@pytest.mark.parametrize(("there", "missing"), [("CERT", "KEY"), ("KEY", "CERT")])
def test_a_certificate_needs_its_key(there: str, missing: str) -> None:
    line = told(**TEMPORAL, **{f"temporal_tls_{there.lower()}": Path(__file__)})

    assert (line or "").startswith(f"TEMPORAL_TLS_{there}: needs TEMPORAL_TLS_{missing} too")


@pytest.mark.parametrize("missing", META)
def test_half_of_metas_account(missing: str) -> None:
    line = told(**{name: value for name, value in META.items() if name != missing}) or ""

    assert f": need {missing.upper()} too, for Meta's Cloud API" in line


def test_a_number_without_its_account() -> None:
    line = told(whatsapp_phone_number_id="111") or ""

    names = "WHATSAPP_ACCESS_TOKEN, WHATSAPP_APP_SECRET and WHATSAPP_VERIFY_TOKEN"
    assert line.startswith(f"WHATSAPP_PHONE_NUMBER_ID: needs {names} too")


@pytest.mark.parametrize("name", TWILIO)
def test_half_of_twilios_account(name: str) -> None:
    [missing] = TWILIO.keys() - {name}

    assert (told(**{name: TWILIO[name]}) or "").startswith(f"{name.upper()}: needs {missing.upper()} too, for Twilio")


@pytest.mark.parametrize(
    "values",
    [
        {},
        META,
        {**META, "whatsapp_phone_number_id": "111"},
        TWILIO,
        {"whatsapp_app_secret": "x", "whatsapp_phone": True},
    ],
)
def test_what_is_whole(values: dict[str, object]) -> None:
    assert told(**values) is None


@pytest.fixture
def certificates() -> str:
    file = ssl.get_default_verify_paths().cafile or ssl.get_default_verify_paths().openssl_cafile
    if not Path(file).exists():
        pytest.skip("this machine has no file of certificates")
    return file


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE", "TOKIO_WORKER_THREADS"])
def test_what_a_library_could_not_work_with(name: str) -> None:
    line = trouble_with_libraries({name: "/proc/x"}) or ""

    assert line.startswith(f"{name}: got '/proc/x'; ")
    assert line.endswith("; or unset it")


@pytest.mark.parametrize("value", ["0", "-1", "", "4.5", "99999", "１"])
def test_threads_that_the_sdk_could_not_start(value: str) -> None:
    assert (trouble_with_libraries({"TOKIO_WORKER_THREADS": value}) or "").startswith("TOKIO_WORKER_THREADS: got")


def test_a_file_that_holds_no_certificates() -> None:
    assert (trouble_with_libraries({"SSL_CERT_FILE": __file__}) or "").startswith("SSL_CERT_FILE: got")


def test_what_they_can_work_with(certificates: str, tmp_path: Path) -> None:
    usable = {"SSL_CERT_FILE": certificates, "SSL_CERT_DIR": f"/nowhere:{tmp_path}", "TOKIO_WORKER_THREADS": "4"}
    usable["SSLKEYLOGFILE"] = str(tmp_path / "keys.log")

    assert trouble_with_libraries(usable) is None
    assert trouble_with_libraries({"SSL_CERT_FILE": "", "SSL_CERT_DIR": ""}) is None


@pytest.mark.parametrize("name", ["PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"])
def test_a_folder_of_counters(name: str, tmp_path: Path) -> None:
    assert trouble_with_metrics({name: str(tmp_path)}) is None
    assert (trouble_with_metrics({name: "/nowhere/x"}) or "").startswith(f"{name}: got '/nowhere/x'")


@pytest.mark.parametrize("name", ADMIN)
def test_half_of_the_first_administrator(name: str) -> None:
    [missing] = ADMIN.keys() - {name}

    told_of = f"{name.upper()}: needs {missing.upper()} too, for the first administrator"
    assert (told(**{name: ADMIN[name]}) or "").startswith(told_of)
    assert told(**ADMIN) is None
