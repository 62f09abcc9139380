"""A customer's callback endpoint, as a process of its own that a test can count by.

Each report is in its log, one JSON object a line, before it is answered. `PUT /answer` tells it how
to answer from then on: {"status": 503}, for the next `first` reports alone, or not at all while
"hold" is true.
"""

import argparse
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Sink(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int, log: Path) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.log = log.open("a", encoding="utf-8")
        self.one_at_a_time = threading.Lock()
        self.status, self.first = 200, 0  # first: how many reports get it; 0: every one
        self.may_answer = threading.Event()
        self.may_answer.set()

    def take(self, report: dict[str, Any]) -> int:
        """Logs a report: the status that it is to be answered with."""
        with self.one_at_a_time:
            status = self.status
            if self.first:
                self.first -= 1
                if not self.first:
                    self.status = 200
            self.log.write(json.dumps({**report, "answered": status}) + "\n")
            self.log.flush()
        return status

    def behave(self, how: dict[str, Any]) -> None:
        with self.one_at_a_time:
            self.status, self.first = how.get("status", 200), how.get("first", 0)
        if how.get("hold"):
            self.may_answer.clear()
        else:
            self.may_answer.set()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        path, _, query = self.path.partition("?")
        report = {
            "method": self.command,
            "path": path,
            "query": query,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": json.loads(body) if body else None,
        }
        status = self.server.take(report)
        self.server.may_answer.wait()
        self.answer(status)

    def do_GET(self) -> None:
        self.do_POST()

    def do_PUT(self) -> None:
        self.server.behave(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.answer(200)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Its log is the other one."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True)
    told = parser.parse_args()
    with Sink(told.port, told.log) as sink:
        sink.serve_forever()


if __name__ == "__main__":
    main()
