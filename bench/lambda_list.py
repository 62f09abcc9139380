"""A long list in one request, as the function on Lambda takes it.

    .venv/bin/python bench/lambda_list.py [--numbers 300000]

Told as JSON: the bytes of the multipart body and of the event (which holds it in Base64; Lambda
takes 6 MB), the CPU seconds of the handler, which on a whole core are its seconds, and the most
memory that the process had. AWS is played below botocore: what S3 takes to store the list comes on
top.
"""

import argparse
import base64
import contextlib
import io
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.lambda_scene import _configure, _loaded, environment
from bench.lambda_stub import Aws

_FIRST = 5_534_990_000_000
_BOUNDARY = "recado-bench"
_PASSWORD = "segredo"


def _event(fields: dict[str, str], numbers: int) -> tuple[dict[str, Any], int]:
    """A request of /sms/send with a file, as API Gateway hands it over; and its body's length."""
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="'
    parts = [f'{head}{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
    rows = "\r\n".join(str(_FIRST + n) for n in range(numbers))
    file = f'{head}destino_csv"; filename="lista.csv"\r\n\r\n{rows}\r\n--{_BOUNDARY}--\r\n'
    body = "".join((*parts, file)).encode()
    event = {
        "version": "2.0",
        "routeKey": "POST /sms/send",
        "rawPath": "/sms/send",
        "rawQueryString": "",
        "headers": {"content-type": f"multipart/form-data; boundary={_BOUNDARY}"},
        "requestContext": {"http": {"method": "POST", "path": "/sms/send"}},
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }
    return event, len(body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--numbers", type=int, default=300_000)
    numbers = parser.parse_args().numbers
    os.environ |= environment("directcall")
    aws = Aws()
    aws.install()
    aws.keeping = True
    _configure()
    handler = _loaded("directcall")
    credentials = base64.b64encode(f"ana:{_PASSWORD}".encode()).decode()
    event, size = _event({"origem": "554130600300", "texto": "Sua consulta e amanha"}, numbers)
    event["headers"]["authorization"] = f"Basic {credentials}"
    idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):  # the metrics
        told = json.loads(handler(event, None)["body"])
    seconds = time.process_time() - began
    assert told["codigo"] == "000", told
    assert told["lote"]["aceitos"] == numbers
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    measured = {
        "numbers": numbers,
        "body_bytes": size,
        "event_bytes": len(json.dumps(event)),
        "cpu_seconds": round(seconds, 2),
        "memory_before_mb": round(idle / 1024),
        "memory_most_mb": round(most / 1024),
    }
    print(json.dumps(measured, indent=2))


if __name__ == "__main__":
    main()
