"""The archive over HTTP on this machine: read-only, and nothing but listed files.

A request's path is looked up in a table that is made from the ledger; no path of the file system is
ever made from what a client sent. GET and HEAD alone are answered, no body is read, no program is
started, nothing is unpickled. Requests name this machine as their host, so that no foreign page can
read the archive through a visitor's browser (DNS rebinding).
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any, ClassVar, final

from heliosight.core.errors import HeliosightError

LONGEST_PATH = 512
LARGEST_ANSWER = 64 * 2**20
MOST_AT_ONCE = 16
SECONDS = 10
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "interest-cohort=()",
    "Cache-Control": "no-store",
}
HOSTS = ("127.0.0.1", "localhost", "[::1]")
EVERYWHERE = "0.0.0.0"


@final
@dataclass(frozen=True)
class Answer:
    """What a path gives: bytes made now, or a file."""

    kind: str
    data: bytes = b""
    file: Path | None = None

    def body(self) -> bytes | None:
        """The bytes; None when the file is gone or larger than is ever sent."""
        if self.file is None:
            return self.data
        try:
            if self.file.stat().st_size > LARGEST_ANSWER:
                return None
            return self.file.read_bytes()
        except OSError:
            return None


Routes = Callable[[], dict[str, Answer]]


class _Handler(BaseHTTPRequestHandler):
    """One request; `routes` gives the table of paths anew each time."""

    routes: ClassVar[Any] = None
    hosts: ClassVar[tuple[str, ...]] = HOSTS
    protocol_version = "HTTP/1.1"
    server_version = "heliosight"
    sys_version = ""
    timeout = SECONDS

    def do_GET(self) -> None:
        """Answer with headers and body."""
        self._answer(send_body=True)

    def do_HEAD(self) -> None:
        """Answer with headers alone."""
        self._answer(send_body=False)

    def __getattr__(self, name: str) -> Any:
        """Every other method is refused with the two that are allowed."""
        if name.startswith("do_"):
            return self._refuse
        raise AttributeError(name)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the protocol itself refuses, with the same headers as every answer."""
        del message, explain
        self._tell(HTTPStatus(code), send_body=getattr(self, "command", "") != "HEAD")

    def _refuse(self) -> None:
        self.close_connection = True
        self._send(HTTPStatus.METHOD_NOT_ALLOWED, Answer("text/plain"), True, Allow="GET, HEAD")

    def _answer(self, send_body: bool) -> None:
        lengths = set(self.headers.get_all("Content-Length", []))
        if lengths - {"0"} or "Transfer-Encoding" in self.headers:
            self._tell(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, send_body)
        elif len(self.path) > LONGEST_PATH:
            self._tell(HTTPStatus.REQUEST_URI_TOO_LONG, send_body)
        elif not _is_known(_host(self.headers.get("Host", "")), self.hosts):
            self._tell(HTTPStatus.MISDIRECTED_REQUEST, send_body)
        else:
            try:
                found = type(self).routes().get(self.path.partition("?")[0])
            except (HeliosightError, OSError) as error:  # an archive that went away, too
                self.log_message("%s", error)
                self._tell(HTTPStatus.INTERNAL_SERVER_ERROR, send_body)
                return
            body = found.body() if found else None
            if found is None or body is None:
                self._tell(HTTPStatus.NOT_FOUND, send_body)
            else:
                self._send(HTTPStatus.OK, Answer(found.kind, body), send_body)

    def _tell(self, status: HTTPStatus, send_body: bool) -> None:
        self.close_connection = True
        self._send(status, Answer("text/plain; charset=utf-8", status.phrase.encode()), send_body)

    def _send(self, status: HTTPStatus, answer: Answer, send_body: bool, **more: str) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, **more}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if send_body:
            self.wfile.write(answer.data)

    def log_message(self, format: str, *args: Any) -> None:
        """One line a request on standard error, control characters made visible."""
        line = (format % args).encode("unicode_escape").decode("ascii")
        sys.stderr.write(f"{self.log_date_time_string()} {self.address_string()} {line}\n")


def _is_known(name: str, hosts: tuple[str, ...]) -> bool:
    """True of the server's own names; bound everywhere, of any IPv4 address: none is rebound."""
    if name in hosts:
        return True
    try:
        return EVERYWHERE in hosts and IPv4Address(name).version == 4
    except ValueError:
        return False


def _host(header: str) -> str:
    """The name in a Host header without its port."""
    name, colon, port = header.rpartition(":")
    return name if colon and port.isdigit() else header


@final
class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], handler: type[_Handler]) -> None:
        super().__init__(address, handler)
        self._room = BoundedSemaphore(MOST_AT_ONCE)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread when there is room, else hang up."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, then make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""
        if not isinstance(sys.exception(), (ConnectionError, socket.timeout)):
            super().handle_error(request, client_address)


def server(host: str, port: int, routes: Routes) -> ThreadingHTTPServer:
    """A server bound to an address, not yet answering; port 0 takes a free one.

    routes : gives the answers by path, asked anew for each request.
    """
    known = HOSTS if host in HOSTS else (*HOSTS, host)
    handler = type("Handler", (_Handler,), {"routes": staticmethod(routes), "hosts": known})
    return _Server((host, port), handler)
