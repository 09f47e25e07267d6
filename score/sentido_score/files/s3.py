"""What pyarrow leaves behind on S3, removed by boto3 (the extra `s3`) if that is installed.

pyarrow puts an empty object in the place of a folder whenever it deletes a file of it, and knows
nothing of uploads that a killed run began.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from pyarrow import fs

_SECONDS = 20  # to connect, and to wait for an answer


class S3:
    """The client of boto3 for a file system of pyarrow, and its errors as OSError."""

    def __init__(self, client: Any, error: Any) -> None:
        self._client = client
        self._error = error

    def delete(self, path: str) -> None:
        """Delete one object and touch no other. `path`: "bucket/key". Raises OSError."""
        bucket, _, key = path.partition("/")
        with self._errors():
            self._client.delete_object(Bucket=bucket, Key=key)

    def abort_uploads(self, folder: str, is_ours: Callable[[str], bool]) -> None:
        """End what uploads of our names to a folder were begun and not finished. Raises OSError."""
        bucket, _, key = folder.partition("/")
        prefix = f"{key}/"
        with self._errors():
            pages = self._client.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=bucket, Prefix=prefix):
                for upload in page.get("Uploads", ()):
                    if is_ours(upload["Key"].removeprefix(prefix)):
                        self._client.abort_multipart_upload(
                            Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except self._error as error:
            raise OSError(str(error)) from error


def s3_of(system: fs.FileSystem) -> S3 | None:
    """Return what does this for a file system; None if it is not S3, or boto3 is not installed."""
    if system.type_name != "s3":
        return None
    _, (options,) = system.__reduce__()
    if options["role_arn"] or options["anonymous"]:
        return None  # neither may delete as boto3 would
    scheme, endpoint = options["scheme"], options["endpoint_override"]
    return _connected(
        options["region"],
        endpoint if "://" in endpoint or not endpoint else f"{scheme}://{endpoint}",
        options["access_key"] or None,
        options["secret_key"] or None,
        options["session_token"] or None,
        options["force_virtual_addressing"],
    )


@lru_cache
def _connected(
    region: str,
    endpoint: str,
    access_key: str | None,
    secret_key: str | None,
    token: str | None,
    is_virtual: bool,
) -> S3 | None:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ModuleNotFoundError:
        return None
    style = "virtual" if is_virtual else "path" if endpoint else "auto"
    client = boto3.client(
        "s3",
        region_name=region,
        endpoint_url=endpoint or None,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        aws_session_token=token,
        config=Config(
            connect_timeout=_SECONDS, read_timeout=_SECONDS, s3={"addressing_style": style}
        ),
    )
    return S3(client, (BotoCoreError, ClientError))
