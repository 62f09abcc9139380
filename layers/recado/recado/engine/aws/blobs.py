"""Blobs in an S3 bucket, one object each; the bucket's own rule removes what is old."""

from botocore.exceptions import ClientError

from recado.engine.aws.clients import Clients
from recado.errors import NotFound

_BEYOND = "InvalidRange"
# A HEAD's answer has no body that could name its error. Without the right to list the bucket S3
# does not even say that a key is missing, but that it may not be seen.
_MISSING = ("NoSuchKey", "NotFound", "404", "403")


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

    def read(self, name: str, offset: int, length: int) -> bytes:
        if length <= 0:  # a range of nothing can't be written, and S3 would give the whole
            self.size(name)
            return b""
        stretch = f"bytes={offset}-{offset + length - 1}"
        s3 = self._clients.s3
        try:
            return s3.get_object(Bucket=self._bucket, Key=name, Range=stretch)["Body"].read()
        except ClientError as error:
            if _code(error) == _BEYOND:
                return b""
            raise _told(error, name) from error

    def size(self, name: str) -> int:
        try:
            return self._clients.s3.head_object(Bucket=self._bucket, Key=name)["ContentLength"]
        except ClientError as error:
            raise _told(error, name) from error

    def upload_url(self, name: str, seconds: int) -> str:
        """At most a week, and no longer than the credentials that signed it: a function's are
        temporary. S3 asks for no length: `size` tells what came. A file comes once: what was
        checked must not be changed before it is sent. (Amazon S3 user guide, "Download and upload
        objects with presigned URLs", "Conditional writes".)"""
        return self._clients.s3.generate_presigned_url(
            "put_object",
            Params={"Bucket": self._bucket, "Key": name, "IfNoneMatch": "*"},
            ExpiresIn=seconds,
            HttpMethod="PUT",
        )


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def _told(error: ClientError, name: str) -> Exception:
    return NotFound(f"blob {name}") if _code(error) in _MISSING else error
