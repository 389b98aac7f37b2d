"""Copy a version's objects within S3 below another version's prefix, and prove that the copies are what they were."""

import math
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.catalog.partitions import in_threads
from datalake_assets.catalog.upload import MAX_PARTS, PART_BYTES
from datalake_assets.catalog.versions import LakeObject, Version
from datalake_assets.errors import ManifestMismatch
from datalake_assets.names import version_prefix

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def copy_objects(
    s3: "S3Client", bucket: str, version: Version, new_id: str, *, threads: int = 8
) -> tuple[LakeObject, ...]:
    """Copy a version's objects below the prefix of `new_id`; return the copies, in the same order.

    No byte passes through this host. An object that was uploaded whole is copied whole and has the same SHA-256. One
    that was uploaded in parts is copied in parts of the same size, so its checksum of checksums is the same; where S3
    gives none for it, the size is compared, and that the source did not change while it was copied.

    Raises:
        ManifestMismatch: an object is missing, changed, or its copy is another.
    """
    prefix = version_prefix(version.table, version.partition, new_id)
    # Before the first copy: what is missing is told at once, and by name.
    with aws_errors(f"s3://{bucket}/{version.prefix}"):
        version.verify(s3, bucket)

    def copy(item: LakeObject) -> LakeObject:
        return _copy(s3, bucket, item, f"{prefix}{PurePosixPath(item.key).name}")

    return tuple(in_threads(copy, version.objects, threads=threads))


def _copy(s3: "S3Client", bucket: str, item: LakeObject, key: str) -> LakeObject:
    uri = f"s3://{bucket}/{key}"
    whole, _, parts = item.checksum.partition("-")
    with aws_errors(uri):
        if parts:
            _copy_in_parts(s3, bucket, item, key, int(parts))
        else:
            s3.copy_object(
                Bucket=bucket,
                Key=key,
                CopySource={"Bucket": bucket, "Key": item.key},
                CopySourceIfMatch=item.etag,
                ChecksumAlgorithm="SHA256",
            )
        head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    # S3 writes the number of parts behind the checksum of some answers and not of others.
    stored = head.get("ChecksumSHA256", "").partition("-")[0]
    if head["ContentLength"] != item.size or ((stored or not parts) and stored != whole):
        raise ManifestMismatch(
            f"the copy has {head['ContentLength']} bytes and SHA-256 {stored or 'unknown'}",
            where=uri,
            expected=f"{item.size} bytes and {whole}, as s3://{bucket}/{item.key}",
        )
    return LakeObject(key, item.size, item.checksum, head["ETag"], item.row_count)


def _copy_in_parts(s3: "S3Client", bucket: str, item: LakeObject, key: str, parts: int) -> None:
    from boto3.s3.transfer import TransferConfig

    # As the upload chose it; another number of parts was chosen by somebody else, and any size will do.
    part_bytes = max(PART_BYTES, math.ceil(item.size / MAX_PARTS))
    if math.ceil(item.size / part_bytes) != parts:
        part_bytes = math.ceil(item.size / parts)
    s3.copy(
        {"Bucket": bucket, "Key": item.key},
        bucket,
        key,
        ExtraArgs={"ChecksumAlgorithm": "SHA256"},
        Config=TransferConfig(multipart_threshold=1, multipart_chunksize=part_bytes, use_threads=False),
    )
