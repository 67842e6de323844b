"""A local archive for tests: scripted answers on 127.0.0.1, every request written down."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Reply:
    """One scripted answer; `cut` sends only so many bytes of the promised body."""

    body: bytes = b""
    status: int = 200
    headers: dict = field(default_factory=dict)
    cut: int | None = None
    skew: float = 0.0
    ranges: bool = True


Script = Reply | list[Reply] | Callable[[str, dict], Reply]


class Archive:
    """Replies by path; a list is used up one by one and its last reply repeats."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.replies: dict[str, Script] = {}
        self.asked: list[tuple[str, dict]] = []

    def reply(self, path: str, headers: dict) -> Reply:
        self.asked.append((path, headers))
        script = self.replies.get(path, self.replies.get(path.split("?")[0], Reply(status=404)))
        if callable(script):
            return script(path, headers)
        if isinstance(script, list):
            return script.pop(0) if len(script) > 1 else script[0]
        return script

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


@contextmanager
def serve():
    """An `Archive` that answers until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            sent = {key.lower(): value for key, value in self.headers.items()}
            reply = archive.reply(self.path, sent)
            body, status, headers = reply.body, reply.status, dict(reply.headers)
            tag = headers.get("ETag")
            if status == 200 and tag and sent.get("if-none-match") == tag:
                body, status = b"", 304
            wanted = re.fullmatch(r"bytes=(\d+)-", sent.get("range", ""))
            if status == 200 and wanted and reply.ranges and sent.get("if-range") in (tag, None):
                begin = int(wanted[1])
                headers["Content-Range"] = f"bytes {begin}-{len(body) - 1}/{len(body)}"
                body, status = body[begin:], 206
            self.send_response_only(status)
            self.send_header("Date", formatdate(clock() + reply.skew, usegmt=True))
            if status != 304:
                headers.setdefault("Content-Length", str(len(body)))
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body if reply.cut is None else body[: reply.cut])

        def log_message(self, *args):
            pass

    from time import time as clock

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    archive = Archive(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True)
    thread.start()
    try:
        yield archive
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
