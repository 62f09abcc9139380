"""Blobs in an S3 bucket, one object each; the bucket's own rule removes what is old."""

from recado.engine.aws.clients import Clients
from recado.errors import NotFound


class S3Blobs:
    """recado.engine.Blobs."""

    def __init__(self, clients: Clients, bucket: str) -> None:
        self._clients, self._bucket = clients, bucket

    def put(self, name: str, content: bytes) -> None:
        self._clients.s3.put_object(Bucket=self._bucket, Key=name, Body=content)

    def get(self, name: str) -> bytes:
        s3 = self._clients.s3
        try:
            return s3.get_object(Bucket=self._bucket, Key=name)["Body"].read()
        except s3.exceptions.NoSuchKey as error:
            raise NotFound(f"blob {name}") from error
