"""Parquet objects in S3 as files that Arrow reads ranges of, counted, and of exactly the version that was published."""

import io
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pyarrow import PythonFile, fs

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.catalog.versions import LakeObject
from datalake_assets.errors import ConcurrentChange

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

WHOLE_BYTES = 256 * 1024  # up to here one request for all is faster than one for the footer and one for the columns
CHANGED = ("PreconditionFailed", "412", "NoSuchKey", "404")


class Counter:
    """How many objects and bytes were read; counted from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.files = 0
        self.bytes = 0

    def add(self, *, files: int = 0, bytes: int = 0) -> None:
        with self._lock:
            self.files += files
            self.bytes += bytes


class S3Files(fs.FileSystemHandler):
    """The files of published versions, by their keys; it can open them, and nothing else.

    Args:
        objects: what can be opened, which the manifests name; others are added while the query goes on.
        failed: told of the first error of a read, which Arrow would turn into a text.
    """

    def __init__(
        self,
        s3: "S3Client",
        bucket: str,
        objects: Mapping[str, LakeObject],
        counter: Counter,
        failed: Callable[[Exception], None],
    ) -> None:
        self._s3, self._bucket, self._objects = s3, bucket, objects
        self._counter, self._failed = counter, failed

    def get_type_name(self) -> str:
        return "published-versions"

    def normalize_path(self, path: str) -> str:
        return path

    def open_input_file(self, path: str) -> Any:
        self._counter.add(files=1)
        return PythonFile(_RangeFile(self._read, self._objects[path]), mode="r")

    def open_input_stream(self, path: str) -> Any:
        return self.open_input_file(path)

    def get_file_info(self, paths: str | list[str]) -> Any:
        paths = [paths] if isinstance(paths, str) else paths
        return [fs.FileInfo(path, fs.FileType.File, size=self._objects[path].size) for path in paths]

    def _read(self, item: LakeObject, start: int, length: int) -> bytes:
        from botocore.exceptions import ClientError

        uri = f"s3://{self._bucket}/{item.key}"
        try:
            with aws_errors(uri):
                try:
                    answer = self._s3.get_object(
                        Bucket=self._bucket,
                        Key=item.key,
                        Range=f"bytes={start}-{start + length - 1}",
                        IfMatch=item.etag,
                    )
                    data = answer["Body"].read()
                except ClientError as error:
                    if error.response["Error"].get("Code") not in CHANGED:
                        raise
                    raise ConcurrentChange(
                        "the published object is gone or was overwritten while the query ran",
                        where=uri,
                        todo="Run the query again",
                    ) from error
        except Exception as error:  # kept as it is for the caller of the query, who sees Arrow's text otherwise
            self._failed(error)
            raise
        self._counter.add(bytes=len(data))
        return data

    # What a reader of one known file never asks for.

    def get_file_info_selector(self, selector: Any) -> Any:
        raise NotImplementedError

    def create_dir(self, path: str, recursive: bool) -> None:
        raise NotImplementedError

    def delete_dir(self, path: str) -> None:
        raise NotImplementedError

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        raise NotImplementedError

    def delete_root_dir_contents(self) -> None:
        raise NotImplementedError

    def delete_file(self, path: str) -> None:
        raise NotImplementedError

    def move(self, src: str, dest: str) -> None:
        raise NotImplementedError

    def copy_file(self, src: str, dest: str) -> None:
        raise NotImplementedError

    def open_output_stream(self, path: str, metadata: Any) -> Any:
        raise NotImplementedError

    def open_append_stream(self, path: str, metadata: Any) -> Any:
        raise NotImplementedError


class _RangeFile(io.RawIOBase):
    """One object; a small one is read as a whole at the first read."""

    def __init__(self, read: Callable[[LakeObject, int, int], bytes], item: LakeObject) -> None:
        self._read, self._item = read, item
        self._at = 0
        self._whole: bytes | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._item.size}[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._item.size - self._at)
        length = left if size is None or size < 0 else min(size, left)
        if not length:
            return b""
        if self._item.size <= WHOLE_BYTES:
            if self._whole is None:
                self._whole = self._read(self._item, 0, self._item.size)
            data = self._whole[self._at : self._at + length]
        else:
            data = self._read(self._item, self._at, length)
        self._at += len(data)
        return data
