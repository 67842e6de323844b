"""The forecast stage's `--serve`: the archive on this machine's own address, until interrupted."""

from __future__ import annotations

import sys
from http.server import ThreadingHTTPServer

from heliosight.core.errors import ConfigError
from heliosight.issuing.archive import Archive, Listed
from heliosight.issuing.routes import routes
from heliosight.issuing.server import HOSTS, server
from heliosight.report.archive_page import ListedForecast, VerifiedWith, render_archive
from heliosight.workflows.run import Run, StageResult

PAGE = "page.en.html"


def serve(run: Run, archive: Archive) -> StageResult:
    """Answer until interrupted (Ctrl-C)."""
    config = run.config.forecast
    try:
        running = serving(config.host, config.port, archive)
    except (OSError, UnicodeError) as error:  # a name that no name service takes is the latter
        why = getattr(error, "strerror", None) or error
        raise ConfigError(
            "a server gets the address it is given",
            f"{config.host}, port {config.port}: {why}",
            "Set forecast.port=0 for a free port.", "forecast.port",
        ) from error  # fmt: skip
    host, port = running.server_address[:2]
    sys.stderr.write(f"http://{host!s}:{port}/ shows {archive.folder}, read-only. Ctrl-C ends.\n")
    if config.host not in HOSTS:
        sys.stderr.write("It can be reached from other machines, by anybody: there is no login.\n")
    try:
        running.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        running.server_close()
    return StageResult(None, (f"served {archive.folder}",))


def serving(host: str, port: int, archive: Archive) -> ThreadingHTTPServer:
    """The server of an archive, bound and not yet answering."""

    def list_page(entries: list[Listed], language: str) -> str:
        return index(archive, entries, language)

    return server(host, port, lambda: routes(archive, list_page))


def index(archive: Archive, entries: list[Listed], language: str) -> str:
    """The list of entries as a page."""
    states: dict[str, VerifiedWith] = {
        e.name: "preliminary" if record.preliminary else "definitive"
        for e, record, _ in archive.verified()
    }
    listed = [
        ListedForecast(
            name=e.name,
            first=e.issue_times[0],
            last=e.issue_times[-1],
            count=len(e.issue_times),
            page=(archive.entry(e.name) / PAGE).is_file(),
            verified=states.get(e.name, ""),
            live=e.live,
        )
        for e in entries
    ]
    return render_archive(listed, language)
