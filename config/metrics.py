"""What Prometheus reads: each process shows its own, the API at `/metrics`, a worker on WORKER_COUNTERS_PORT.

Where PROMETHEUS_MULTIPROC_DIR is set (`make run` does), whichever is asked shows those of all processes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import REGISTRY, Collector

_TURN_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300)

REQUESTS = Counter("agent_requests_total", "Requests to the API, by what was answered", ["method", "route", "status"])
MESSAGES = Counter("agent_messages_total", "Messages that came in, by what became of them", ["channel", "outcome"])
TURNS = Counter("agent_turns_total", "Turns that came to an end", ["status", "verdict"])
TURN_SECONDS = Histogram("agent_turn_seconds", "From storing a message to storing its reply", buckets=_TURN_BUCKETS)
OUTPUTS = Counter("agent_unfinished_outputs_total", "Outputs after which the turn went on", ["verdict", "action"])
ACTIONS = Counter("agent_actions_total", "Actions settled", ["action", "status"])
DELIVERIES = Counter("agent_deliveries_total", "Messages put to a channel, by what it said", ["channel", "outcome"])
WEBHOOKS = Counter("agent_webhook_messages_total", "What webhooks brought, and its fate", ["channel", "outcome"])
WAKES_FAILED = Counter("agent_failed_wakes_total", "Wake-ups left to the sweep because Temporal was unavailable")
MODEL_CALLS = Counter("agent_model_calls_total", "Questions put to Perplexity")
MODEL_SECONDS = Histogram("agent_model_seconds", "From the question to the whole answer", buckets=_TURN_BUCKETS)
FIRST_TEXT_SECONDS = Histogram(
    "agent_first_text_seconds", "From the question to the model's first text", buckets=_TURN_BUCKETS
)
FAILURES = Counter("agent_failures_total", "Attempts that got no answer", ["kind"])
UNKNOWN_SHAPES = Counter("agent_unknown_shapes_total", "Answers that nobody here can read", ["blocks"])
ALARMS = Counter("agent_alarms_total", "What somebody has to see to, each time it was met", ["kind"])
ACCOUNT_WAITS = Counter("agent_account_waits_total", "Waits because of an account's own limit")
SWEPT = Counter("agent_swept_conversations_total", "Conversations the sweep had to wake")


class _QueueDepth(Collector):
    """How many messages wait, as just counted: no process of its own holds this number."""

    def __init__(self, waiting_messages: float) -> None:
        self._waiting_messages = waiting_messages

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily(
            "agent_waiting_messages", "Messages stored and not yet processed", self._waiting_messages
        )


def exposition(waiting_messages: float) -> bytes:
    """The metrics in Prometheus' text format, and the queue's depth."""
    depth = CollectorRegistry()
    depth.register(_QueueDepth(waiting_messages))
    return generate_latest(_registry()) + generate_latest(depth)


def serve(host: str, port: int) -> None:
    """Shows them on a port of their own until the process ends. Raises OSError where the port is taken."""
    start_http_server(port, addr=host, registry=_registry())


def _registry() -> CollectorRegistry:
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return REGISTRY
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
