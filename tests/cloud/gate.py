"""What stands before the emulator's API, so that no more than a few requests are in it at once.

AWS gives a request that finds every environment of its function busy a new one. The emulator does
too, of a process each, and unpacks the layers for it: the 64 receipts that the simulator posts at
once would bring it down for minutes. A reserved concurrency, which it knows, it passes over where a
function is called by an alias.
"""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_AT_ONCE = 4
_HOP_BY_HOP = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding"})


class Gate(ThreadingHTTPServer):
    """Passes requests on to the API at `target`, from its construction to `close()`."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = urlsplit(target)
        self.places = threading.Semaphore(_AT_ONCE)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Gate

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0"))) or None
        with self.server.places:
            status, headers, content = self._asked(body)
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _asked(self, body: bytes | None) -> tuple[int, list[tuple[str, str]], bytes]:
        target = self.server.target
        link = http.client.HTTPConnection(target.netloc, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
        try:
            link.request(self.command, target.path + self.path, body, headers)
            answer = link.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            link.close()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815 - http.server's names

    def log_message(self, *_: Any) -> None:
        """What comes by is counted elsewhere."""
