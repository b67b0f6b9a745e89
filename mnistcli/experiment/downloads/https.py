"""Addresses → the content of a file: over https alone, in pieces, and never without an end."""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from typing import IO

from mnistcli import __version__
from mnistcli.errors import reason_of

TIMEOUT_SECONDS = 30.0
"""Longest wait for a connection, or for the next bytes."""
PATIENCE_SECONDS, MIN_SPEED = 60.0, 1_024
"""A server must send so many bytes a second, after the first minute."""
CHUNK = 1 << 18


class DownloadError(Exception):
    """What kept a file from being downloaded from one address, in a few words."""


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Redirections to other https addresses."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not newurl.lower().startswith("https://"):
            raise DownloadError("redirects to an address without https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def receive(url: str, size_limit: int) -> Iterator[tuple[bytes, int | None]]:
    """Yield the content of a file in pieces, with its whole size if the server tells it.

    Certificates are checked as Python does by default; SSL_CERT_FILE, HTTPS_PROXY and NO_PROXY are
    honoured.

    Args:
        url: address of the file.
        size_limit: largest size in bytes.

    Raises:
        DownloadError: there is no answer, or it is incomplete, too large or too slow.
    """
    with _explaining(), _open(url) as response:
        size = int(response.headers.get("Content-Length") or 0) or None
        received, start = 0, time.monotonic()
        while piece := response.read1(CHUNK):
            received += len(piece)
            if max(received, size or 0) > size_limit:
                raise DownloadError(f"has more than {size_limit:,} bytes")
            elapsed = time.monotonic() - start
            if elapsed > PATIENCE_SECONDS and received < MIN_SPEED * elapsed:
                raise DownloadError("is too slow")
            yield piece, size
        if size and received < size:
            raise DownloadError(f"stopped after {received:,} of {size:,} bytes")


def _open(url: str) -> http.client.HTTPResponse:
    if not url.startswith("https://"):
        raise DownloadError("is an address without https")
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        _HttpsOnly,
    ):
        opener.add_handler(handler())
    request = urllib.request.Request(url, headers={"User-Agent": f"mnistcli/{__version__}"})
    response: http.client.HTTPResponse | None = opener.open(request, timeout=TIMEOUT_SECONDS)
    if response is None:
        raise DownloadError("gave no answer")
    return response


@contextmanager
def _explaining() -> Iterator[None]:
    """Raise what goes wrong in the `with` block as DownloadError, in a few words."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        raise DownloadError(f"answered {_name_status(error.code)}") from error
    except urllib.error.URLError as error:
        raise DownloadError(_describe(error.reason)) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DownloadError(_describe(error)) from error


def _name_status(code: int) -> str:
    """Return a status with its standard name; the server's own words could be anything."""
    try:
        return f"{code} {http.HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)


def _describe(reason: BaseException | str) -> str:
    if isinstance(reason, TimeoutError):
        return f"sent nothing for {TIMEOUT_SECONDS:g} s"
    if not isinstance(reason, OSError):
        return "gave no valid answer"  # what it sent instead could be anything
    return str(getattr(reason, "verify_message", "")) or reason_of(reason)
