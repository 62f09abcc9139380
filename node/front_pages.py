"""The node's own pages where the front answers them: what the worker knows it is asked for."""

import time
from collections.abc import Callable

from node.front_words import Worker
from node.gateway import Page
from node.health import healthy, refuses, tell, tell_metrics
from node.http_server import RawRequest, Reply
from node.metrics import exposition
from node.smpp import Smpp
from node.waiting import start
from recado.observability import counts, log


def pages(worker: Worker, metrics_token: str, smpp: Smpp) -> dict[str, Page]:
    """As node.health.pages, by their path."""

    def ready(reply: Reply) -> None:
        page = worker.ready()
        reply(page.status, page.headers, page.body)

    def metrics(reply: Reply) -> None:
        figures = worker.figures(counts(), time.process_time())
        tell_metrics(
            reply,
            exposition(
                figures.counts,
                figures.depths,
                figures.ages,
                (figures.commits, figures.commit_seconds),
                figures.started_at,
                smpp.counts(lambda: figures.mails),
                figures.cpu_seconds,
            ),
        )

    def asked(request: RawRequest, reply: Reply) -> None:
        if not refuses(metrics_token, request, reply):
            _in_time(metrics)(request, reply)

    return {"/health": healthy, "/ready": _in_time(ready), "/metrics": asked}


def _in_time(answer: Callable[[Reply], None]) -> Page:
    """Answers as soon as the worker has."""

    def page(_request: RawRequest, reply: Reply) -> None:
        def work() -> None:
            try:
                answer(reply)
            except Exception:
                log.exception("a page of the node's own failed")
                tell(reply, 500, {"error": "it failed: see the log"})

        start(work)

    return page
