"""A service on this machine for `api_call`: does what its path says, and counts what it executed."""

from __future__ import annotations

import gzip
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.waiting import LONGEST_SECONDS


class Service(ThreadingHTTPServer):
    """`requests` holds (method, path, headers, body) of everything that was executed."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _EndpointHandler)
        self.requests: list[tuple[str, str, dict[str, str], str]] = []
        self.connections: set[tuple[str, int]] = set()
        """By the caller's address and port."""
        self.stopping = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that was killed is what these tests are about."""

    @property
    def host(self) -> str:
        return f"localhost:{self.server_address[1]}"


class _EndpointHandler(BaseHTTPRequestHandler):
    server: Service
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.connections.add(self.client_address)
        self.server.requests.append((self.command, self.path, dict(self.headers), body))
        getattr(self, f"_{self.path.split('?')[0].strip('/').split('/')[0]}", self._ok)()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def log_message(self, *_: Any) -> None:
        return None

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _ok(self) -> None:
        self._answer(200, json.dumps({"path": self.path}).encode())

    def _moved(self) -> None:
        self._answer(302, b"", Location="http://169.254.169.254/latest/meta-data")

    def _busy(self) -> None:
        self._answer(429, b"{}", Retry_After="7")

    def _broken(self) -> None:
        self._answer(500, b"{}")

    def _refused(self) -> None:
        self._answer(403, b"{}")

    def _picture(self) -> None:
        self._answer(200, b"\x89PNG", Content_Type="image/png")

    def _huge(self) -> None:
        self._answer(200, b"x" * 5_000_000, Content_Type="text/plain")

    def _bomb(self) -> None:
        self._answer(200, gzip.compress(b"0" * 50_000_000), Content_Type="text/plain", Content_Encoding="gzip")

    def _packed(self) -> None:
        self._answer(200, gzip.compress(b'{"is": "here"}'), Content_Encoding="gzip")

    def _drop(self) -> None:
        self.close_connection = True

    def _slow(self) -> None:
        self.server.stopping.wait(LONGEST_SECONDS)
        self.close_connection = True

    def _answers(self) -> None:
        """`/answers/409`: that status."""
        self._answer(int(self.path.split("/")[2]), b'{"is": "here"}', Location="https://elsewhere.example/")

    def _pdf(self) -> None:
        self._answer(201, b"%PDF-1.7", Content_Type="application/pdf")

    def _nothing(self) -> None:
        self.send_response(204)
        self.end_headers()

    def _charset(self) -> None:
        self._answer(200, '{"is": "hier, für dich"}'.encode(), Content_Type="application/json; charset=utf8mb4")

    def _half(self) -> None:
        """The answer breaks off behind its head."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b'{"is":')
        self.close_connection = True

    def _unstorable(self) -> None:
        self._answer(200, b'{"a": "x\\u0000y\\ud800", "b": 1e999}')


@contextmanager
def running_service(tls: ssl.SSLContext | None = None) -> Iterator[Service]:
    with Service() as service:
        if tls is not None:
            service.socket = tls.wrap_socket(service.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=service.serve_forever, daemon=True)
        thread.start()
        yield service
        service.stopping.set()
        service.shutdown()
        thread.join(5)
