"""Local and S3 objects as files that read what is asked for and no more; their errors are those of the platform."""

import io
import stat
from typing import TYPE_CHECKING

from datalake_assets.discovery.sources.uris import local_path, split_s3
from datalake_assets.errors import AccessDenied, ConfigurationError, UnreadableObject

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class LocalErrors:
    """Translate what the file system raises inside the block; a class, because a generator costs more per file."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, PermissionError):
            raise AccessDenied("it may not be read", where=self._where, todo="Give yourself the permission") from error
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            raise ConfigurationError("it does not exist", where=self._where) from error
        if isinstance(error, OSError):
            raise UnreadableObject(f"it cannot be read: {error.strerror or error}", where=self._where) from error


class LocalFile(io.RawIOBase):
    """A local file whose errors are those of the platform."""

    def __init__(self, uri: str) -> None:
        self._where = uri
        path = local_path(uri)
        with LocalErrors(self._where):
            # Opening a pipe would wait for its writer.
            if not stat.S_ISREG(path.stat().st_mode):
                raise UnreadableObject("it is no regular file", where=self._where)
            self._file = path.open("rb", buffering=0)

    def at(self, start: int, length: int) -> bytes:
        with LocalErrors(self._where):
            self._file.seek(start)
            return self._file.read(length) or b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer: "bytearray | memoryview", /) -> int:  # type: ignore[override]
        with LocalErrors(self._where):
            return self._file.readinto(buffer) or 0

    def close(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()
        super().close()


class S3File(io.RawIOBase):
    """An S3 object as a file: each read is one range request, of the version that was listed."""

    def __init__(self, uri: str, size: int, etag: str, s3: "S3Client") -> None:
        self._uri, self._size, self._etag, self._s3 = uri, size, etag, s3
        self._bucket, self._key = split_s3(uri)
        self._at = 0

    def at(self, start: int, length: int) -> bytes:
        from datalake_assets.accounts.aws_errors import aws_errors

        end = min(start + length, self._size) - 1
        if end < start:
            return b""
        with aws_errors(self._uri):
            answer = self._s3.get_object(
                Bucket=self._bucket, Key=self._key, Range=f"bytes={start}-{end}", IfMatch=f'"{self._etag}"'
            )
            return answer["Body"].read()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: "bytearray | memoryview", /) -> int:  # type: ignore[override]
        data = self.at(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
