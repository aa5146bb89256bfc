"""All settings of all processes, read once from the environment or `.env`.

Every limit, time-out and retry of the system stands here with its unit in the name (`_seconds`, `_bytes`, …);
`.env.example` documents each. A wrong value stops the start with one line (`load_settings`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from config import values
from config.env_file import EnvFileError, check_env_file
from config.env_source import AsWritten
from config.refusals import refusal

ENV_FILE = Path(".env")

HttpUrl = Annotated[str | None, AfterValidator(values.http_url)]
Folder = Annotated[Path, AfterValidator(values.folder)]
ReadableFile = Annotated[Path, AfterValidator(values.readable_file)]
Word = BeforeValidator(values.word)
TemporalsName = Annotated[str, AfterValidator(values.temporals_name)]
SecretName = Annotated[str, AfterValidator(values.secret_name)]
HeaderValue = Annotated[SecretStr | None, AfterValidator(values.header_value)]
OneLine = Annotated[SecretStr | None, AfterValidator(values.one_line)]
Seconds = Annotated[float, Field(gt=0, le=31_536_000)]
Port = Annotated[int, Field(ge=1, le=65_535)]


class Settings(BaseSettings):
    """Defaults are those of `make run`; names are environment variables (upper case)."""

    model_config = SettingsConfigDict(
        env_file=ENV_FILE,
        env_ignore_empty=True,
        extra="ignore",
        case_sensitive=False,
        frozen=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The first that knows a setting wins."""
        return init_settings, env_settings, AsWritten(settings_cls, dotenv_settings)

    # Where things are
    port: Port = 8000
    host: Annotated[str, AfterValidator(values.host)] = "127.0.0.1"
    data_dir: Folder = Path(".data")
    ephemeral: bool = False
    public_url: HttpUrl = None
    allowed_origins: Annotated[list[str] | None, NoDecode, BeforeValidator(values.origins)] = None
    database_url: Annotated[str | None, AfterValidator(values.database_url)] = None
    database_pool_size: int = Field(default=10, ge=1, le=200)
    database_timeout_seconds: Seconds = 10.0
    temporal_address: Annotated[str | None, AfterValidator(values.host_and_port)] = None
    temporal_port: Port = 7233
    temporal_ui_port: Port = 8233
    temporal_namespace: TemporalsName = "default"
    temporal_task_queue: TemporalsName = Field(default="conversations", min_length=1, max_length=200)
    temporal_api_key: HeaderValue = None
    temporal_tls_cert: ReadableFile | None = None
    temporal_tls_key: ReadableFile | None = None
    temporal_tls_ca: ReadableFile | None = None
    temporal_rpc_timeout_seconds: Seconds = 10.0
    temporal_look_seconds: Seconds = 1.0
    temporal_report_seconds: Seconds = 60.0
    temporal_report_pause_seconds: Seconds = 1.0

    # Secrets and first users
    api_key: HeaderValue = None
    secret_key: OneLine = None
    admin_email: Annotated[str | None, AfterValidator(values.email_address)] = None
    admin_password: Annotated[OneLine, AfterValidator(values.password)] = None
    admin_link_token: HeaderValue = None
    metrics_token: HeaderValue = None
    dashboard_session_seconds: Seconds = 43_200.0

    # Signing in: failures a minute in the long run, and at once; 0 a minute: no limit
    sign_in_name_per_minute: float = Field(default=2.0, ge=0, le=1_000_000)
    sign_in_name_burst: int = Field(default=10, ge=1, le=1_000_000)
    sign_in_address_per_minute: float = Field(default=20.0, ge=0, le=1_000_000)
    sign_in_address_burst: int = Field(default=50, ge=1, le=1_000_000)
    sign_in_checks_at_once: int = Field(default=2, ge=1, le=64)
    trusted_proxies: Annotated[list[str], NoDecode, BeforeValidator(values.networks)] = Field(default_factory=list)

    # The Perplexity wrapper and the default assistant
    perplexity_base_url: HttpUrl = None
    default_account_name: str = Field(default="default", min_length=1, max_length=200)
    default_collection_uuid: str | None = None
    default_mode: Literal["auto", "pro", "reasoning", "deep research"] = "auto"
    default_language: str = Field(default="en-US", pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")
    perplexity_connect_timeout_seconds: Seconds = 5.0
    perplexity_silence_seconds: Seconds = 150.0
    perplexity_answer_seconds: Seconds = 240.0
    perplexity_request_line_bytes: int = Field(default=15_000, ge=1_000, le=16_000)
    perplexity_answer_bytes: int = Field(default=8_388_608, ge=1_000)
    perplexity_stream_bytes: int = Field(default=67_108_864, ge=1_000)
    perplexity_breaker_failures: int = Field(default=5, ge=1, le=1_000)
    perplexity_breaker_open_seconds: Seconds = 15.0
    perplexity_patience_seconds: Seconds = 180.0
    perplexity_limit_pause_seconds: Seconds = 60.0
    perplexity_account_calls_in_flight: int = Field(default=8, ge=1, le=1_000)
    perplexity_account_calls_per_minute: int = Field(default=60, ge=1, le=100_000)
    perplexity_account_slot_seconds: Seconds = 45.0
    perplexity_account_place_seconds: Seconds = 15.0

    # A turn
    turn_attempts: int = Field(default=4, ge=1, le=20)
    turn_reasks_after_unknown: int = Field(default=2, ge=0, le=10)
    turn_timeout_seconds: Seconds = 330.0
    turn_heartbeat_seconds: Seconds = 15.0
    turn_retry_pause_seconds: float = Field(default=2.0, ge=0, le=3_600)
    turn_retry_pause_max_seconds: Seconds = 60.0
    turn_give_up_seconds: Seconds = 3_600.0
    database_activity_seconds: Seconds = 30.0
    database_retry_seconds: Seconds = 60.0
    database_retry_pause_seconds: Seconds = 5.0
    join_waiting_messages: bool = True
    join_max_messages: int = Field(default=100, ge=1, le=200)
    message_max_characters: int = Field(default=20_000, ge=1, le=1_000_000)
    reply_max_characters: int = Field(default=16_000, ge=200, le=1_000_000)

    # Actions: how much of the model's output is read
    output_max_characters: int = Field(default=1_000_000, ge=1_000, le=10_000_000)
    action_max_characters: int = Field(default=65_536, ge=1_000, le=1_000_000)
    action_max_depth: int = Field(default=32, ge=4, le=200)
    prompt_pack_bytes: int = Field(default=9_000, ge=500, le=15_000)
    action_timeout_seconds: float = Field(default=660.0, ge=630, le=31_536_000)
    endpoint_secrets: Annotated[
        dict[SecretName, Annotated[SecretStr, AfterValidator(values.header_text)]],
        NoDecode,
        BeforeValidator(values.json_of(dict, '{"crm": "its token"}')),
    ] = Field(default_factory=dict)
    endpoint_private_hosts: Annotated[
        list[str], NoDecode, BeforeValidator(values.json_of(list, '["billing:8080"]'))
    ] = Field(default_factory=list)
    endpoint_answer_bytes: int = Field(default=262_144, ge=1_024, le=16_777_216)
    endpoint_connect_seconds: Seconds = 5.0

    # A conversation
    idle_end_seconds: Seconds = 86_400.0
    continue_as_new_turns: int = Field(default=100, ge=1, le=10_000)
    continue_as_new_events: int = Field(default=1_200, ge=20, le=40_000)
    sweep_every_seconds: Seconds = 30.0
    sweep_after_seconds: Seconds = 60.0
    sweep_batch: int = Field(default=500, ge=1, le=10_000)

    # The API
    reply_wait_seconds: Seconds = 300.0
    change_wait_seconds: Seconds = 10.0
    take_over_wait_seconds: float = Field(default=0.5, gt=0, le=1)
    api_shutdown_seconds: Seconds = 1.5
    readiness_timeout_seconds: Seconds = 3.0
    readiness_cache_seconds: float = Field(default=1.0, ge=0, le=1)
    readiness_worker_seconds: Seconds = 75.0
    readiness_watch_seconds: Seconds = 2.0
    request_body_bytes: int = Field(default=262_144, ge=1_024)
    request_body_seconds: Seconds = 30.0
    stream_flush_seconds: float = Field(default=0.075, ge=0.0, le=5.0)
    stream_events_keep_seconds: Seconds = 86_400.0
    stream_look_seconds: float = Field(default=20.0, ge=0.01, le=3_600)
    streams_at_once: int = Field(default=1_000, ge=1, le=1_000_000)
    waiting_messages_cache_seconds: float = Field(default=1.0, ge=0, le=60)
    playground_about_seconds: Seconds = 30.0
    api_key_cache_seconds: float = Field(default=4.0, ge=0, le=5)

    # Limits on what comes in; 0 a minute: none. A burst may come at once
    customer_messages_per_minute: float = Field(default=1_200.0, ge=0, le=1_000_000)
    customer_messages_burst: int = Field(default=1_200, ge=1, le=1_000_000)
    channel_customer_messages_per_minute: float = Field(default=60.0, ge=0, le=1_000_000)
    channel_customer_messages_burst: int = Field(default=60, ge=1, le=1_000_000)
    over_limit_tell_seconds: Seconds = 600.0
    over_limit_wait_seconds: Seconds = 60.0

    # The worker
    worker_activities: int = Field(default=200, ge=1, le=10_000)
    worker_workflow_tasks: int = Field(default=16, ge=2, le=1_000)
    worker_cached_workflows: int = Field(default=2_000, ge=0, le=1_000_000)
    worker_shutdown_seconds: float = Field(default=4.0, ge=0, le=3_600)
    worker_abandon_seconds: Seconds = 4.0
    worker_last_write_seconds: Seconds = 1.5
    worker_metrics_port: int = Field(default=0, ge=0, le=65_535)
    worker_counters_port: int = Field(default=0, ge=0, le=65_535)

    # The launcher (`make run`)
    disk_free_bytes: int = Field(default=300_000_000, ge=0)
    start_seconds: Seconds = 90.0
    stop_seconds: Seconds = 8.0
    killed_seconds: Seconds = 2.0
    postgres_orphans_seconds: Seconds = 2.0
    restart_limit: int = Field(default=8, ge=0, le=10_000)
    restart_window_seconds: Seconds = 30.0
    restart_pause_seconds: Seconds = 0.1
    restart_pause_max_seconds: Seconds = 2.0
    log_file_bytes: int = Field(default=50_000_000, ge=10_000)

    # Logs
    log_format: Annotated[Literal["auto", "json", "pretty"], Word] = "auto"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Word] = "info"
    log_raw_output_characters: int = Field(default=4_000, ge=0, le=1_000_000)
    log_customer_words: bool = False

    # WhatsApp: Meta's Cloud API and Twilio
    whatsapp_access_token: HeaderValue = None
    whatsapp_phone_number_id: str | None = Field(default=None, pattern=r"^[0-9]{1,64}$")
    whatsapp_app_secret: HeaderValue = None
    whatsapp_verify_token: HeaderValue = None
    whatsapp_graph_url: HttpUrl = None
    whatsapp_graph_version: str = Field(default="v25.0", pattern=r"^v[0-9]{1,3}\.[0-9]$")
    twilio_account_sid: str | None = Field(default=None, pattern=r"^[A-Za-z0-9]{1,64}$")
    twilio_auth_token: HeaderValue = None
    twilio_api_url: HttpUrl = None
    channel_connect_timeout_seconds: Seconds = 5.0
    channel_answer_timeout_seconds: Seconds = 20.0
    channel_connections: int = Field(default=100, ge=1, le=10_000)
    quiet_seconds: float = Field(default=1.5, ge=0, le=60)
    quiet_cap_seconds: float = Field(default=8.0, ge=0, le=600)
    newer_message_while_asking: Literal["wait", "restart"] = "restart"
    newer_message_while_repairing: Literal["wait", "restart"] = "wait"
    newer_message_poll_seconds: float = Field(default=1.0, ge=0.05, le=60)
    restart_within_seconds: Seconds = 30.0
    still_working_seconds: Seconds = 20.0
    read_receipt_seconds: float = Field(default=1.0, ge=0, le=60)
    delivery_attempts: int = Field(default=60, ge=1, le=10_000)
    delivery_resends: int = Field(default=3, ge=0, le=100)
    delivery_give_up_seconds: Seconds = 3_600.0
    delivery_timeout_seconds: Seconds = 120.0
    delivery_pause_max_seconds: Seconds = 60.0
    delivery_settle_seconds: Seconds = 60.0
    delivery_settle_poll_seconds: Seconds = 2.0
    delivery_unknown: Literal["resend", "leave"] = "resend"
    delivery_unknown_resends: int = Field(default=1, ge=0, le=10)
    webhook_body_bytes: int = Field(default=3_145_728, ge=1_024, le=67_108_864)
    leftovers_keep_seconds: Seconds = 2_592_000.0
    number_silence_seconds: Seconds = 7_776_000.0
    webhook_wakes_at_once: int = Field(default=50, ge=1, le=10_000)
    media_dir: Folder | None = None
    media_attempts: int = Field(default=5, ge=1, le=100)
    media_bytes: int = Field(default=16_777_216, ge=1, le=104_857_600)
    media_download_seconds: Seconds = 60.0

    # The phone to try WhatsApp with: never in production. Unset: on under `make run` while there is no account
    whatsapp_phone: bool | None = None
    whatsapp_standin_url: HttpUrl = None

    # The simulator (only used while PERPLEXITY_BASE_URL is unset)
    simulator_pace: float = Field(default=1.0, ge=0.0, le=100.0)


class SettingsError(Exception):
    """A setting has a value that the program cannot work with; the message is one line for the user."""


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment, `.env` and *overrides* (the last win).

    Raises SettingsError with one line that names the setting, what it got and what it accepts.
    """
    try:
        check_env_file(ENV_FILE)
        return Settings(**overrides)  # type: ignore[arg-type]
    except EnvFileError as error:
        raise SettingsError(str(error)) from None
    except ValidationError as error:
        raise SettingsError("; ".join(refusal(problem, Settings) for problem in error.errors())) from None
