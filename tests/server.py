"""A web server on this machine that speaks https, and misbehaves where a path says so."""

import ssl
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def make_certificate(folder: Path) -> Path:
    """Write a key and a certificate for 127.0.0.1, signed by itself, into one file."""
    path = folder / "server.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", path.with_suffix(".key"), "-out", path,
        ],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    path.write_text(path.read_text() + path.with_suffix(".key").read_text())
    return path


@dataclass
class Server:
    """What is served, and what was asked for."""

    contents: Mapping[str, bytes] = field(default_factory=dict)
    """Files by name."""
    port: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    closing: threading.Event = field(default_factory=threading.Event)

    def url(self, behaviour: str, name: str = "") -> str:
        """Return the address of a file, or of the files of a mirror, that is served so."""
        return f"https://127.0.0.1:{self.port}/{behaviour}/{name}"


class Handler(BaseHTTPRequestHandler):
    """Answers by the first part of the path; the last part is the name of the file."""

    served: Server

    def do_GET(self) -> None:
        server = self.served
        _, behaviour, name = self.path.split("/", 2)
        server.asked[self.path] += 1
        content = server.contents.get(name)
        match behaviour:
            case "http":
                self._redirect(f"http://127.0.0.1:{server.port}/good/{name}")
            case "moved":
                self._redirect(server.url("good", name))
            case "circle":
                self._redirect(server.url("circle", name))
            case _ if content is None or behaviour == "missing":
                self.send_error(404)
            case "good":
                self._send(content)
            case "unsized":
                self._send(content, size=None)
            case "corrupt":
                self._send(content[:-1] + bytes([content[-1] ^ 1]))
            case "short":
                self._send(content[: len(content) // 2], size=len(content))
            case "huge":
                self._send(content, size=1 << 40)
            case "stalled":
                self._send(content[: len(content) // 2], size=len(content))
                server.closing.wait(60)

    def _redirect(self, url: str) -> None:
        self.send_response(302)
        self.send_header("Location", url)
        self.end_headers()

    def _send(self, content: bytes, size: int | None = -1) -> None:
        self.send_response(200)
        if size is not None:
            self.send_header("Content-Length", str(len(content) if size < 0 else size))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, *arguments: object) -> None:
        """Log nothing."""


@contextmanager
def serve(certificate: Path) -> Iterator[Server]:
    """Serve until the end of the `with` block."""
    server = Server()
    handler = type("Serving", (Handler,), {"served": server})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        # The handshake in the thread of the connection, so that one that fails stops no other.
        listening.socket = context.wrap_socket(
            listening.socket, server_side=True, do_handshake_on_connect=False
        )
        listening.handle_error = lambda *arguments: None  # type: ignore[method-assign]
        server.port = listening.server_port
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            listening.shutdown()
            thread.join()
