"""The OpenAPI 3.1 document of what Recado answers by HTTP: both dialects, and what is ours.

It is put together from one module a family of paths; each has PATHS, SCHEMAS and its TAG. Left out
is what no customer asks: the paths at which upstreams call, and the simulator's.
"""

import re

from recado.openapi import (
    account,
    bulk,
    common,
    directcall,
    directcall_webhooks,
    messages,
    schedules,
    webhooks,
    zoug,
)
from recado.openapi.parts import Json

VERSION = "0.1.0"  # of the package, as in pyproject.toml

_ABOUT = """\
An SMS gateway that speaks the HTTP APIs of Zoug and of Directcall, and some paths of its own.

A positive answer is given after the write that makes it true: what was taken will be submitted, \
or ends as EXPIRED with its reports.

What is marked as ours stands in no document of a provider. Readers are tolerant: unknown fields \
are ignored, and an optional field that is null or an empty string counts as left out.

A cost centre that can't bear HTTP statuses may be set to be answered with 200 for all failures \
of the Messages and Zoug paths but 401, 405 and 5xx (`impediments_ok`); what is described here is \
how it is without."""

_FAMILIES = (zoug, directcall, messages, schedules, bulk, account)
_COMMON_SCHEMAS = webhooks.SCHEMAS | directcall_webhooks.SCHEMAS | common.SCHEMAS


def document() -> Json:
    """The whole document, but for its servers."""
    schemas: Json = {}
    paths: Json = {}
    for family in _FAMILIES:
        paths |= family.PATHS
        schemas |= family.SCHEMAS
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Recado",
            "version": VERSION,
            "summary": "An SMS gateway.",
            "description": _ABOUT,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "tags": [*(family.TAG for family in _FAMILIES), webhooks.TAG],
        "paths": paths,
        "webhooks": webhooks.WEBHOOKS | directcall_webhooks.WEBHOOKS,
        "components": {
            "securitySchemes": common.SECURITY_SCHEMES,
            "parameters": common.PARAMETERS,
            "responses": common.RESPONSES | directcall.RESPONSES,
            "schemas": schemas | _COMMON_SCHEMAS,
        },
    }


def methods(path: str) -> list[str]:
    """The methods that a path has, as in an Allow header; none where it is no path of ours. A path
    that stands here word for word is that, and no parameter's value."""
    paths = document()["paths"]
    patterns = [path] if path in paths else [pattern for pattern in paths if _is(path, pattern)]
    return [method.upper() for pattern in patterns for method in paths[pattern]]


def _is(path: str, pattern: str) -> bool:
    return re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(pattern)), path) is not None
