"""S3: buckets, objects with all their versions, and multipart uploads on their way."""

import pickle
from collections.abc import Iterator
from typing import Any

from moto.s3.models import FakeBucket, FakeKey, FakeMultipart, MultipartDict, S3Backend, s3_backends
from moto.s3.utils import _VersionedKeyStore

from datalake_assets.sandbox.aws.journal import Journal, ResourceId
from datalake_assets.sandbox.aws.recording import Recorder, Touch, rebuilt

BUCKET, KEY, UPLOAD, PART = "s3.bucket", "s3.key", "s3.upload", "s3.part"

# Whatever changes a bucket's own settings; all take the bucket's name first.
BUCKET_METHODS = (
    "create_bucket",
    "delete_bucket",
    "put_bucket_accelerate_configuration",
    "put_bucket_acl",
    "put_bucket_cors",
    "put_bucket_encryption",
    "put_bucket_inventory_configuration",
    "put_bucket_lifecycle",
    "put_bucket_logging",
    "put_bucket_notification_configuration",
    "put_bucket_ownership_controls",
    "put_bucket_policy",
    "put_bucket_replication",
    "put_bucket_tagging",
    "put_bucket_versioning",
    "put_bucket_website",
    "put_object_lock_configuration",
    "put_public_access_block",
    "delete_bucket_cors",
    "delete_bucket_encryption",
    "delete_bucket_lifecycle",
    "delete_bucket_ownership_controls",
    "delete_bucket_policy",
    "delete_bucket_replication",
    "delete_bucket_tagging",
    "delete_bucket_website",
    "delete_public_access_block",
)
# Whatever changes an object; all take bucket and key first.
KEY_METHODS = (
    "put_object",
    "put_object_acl",
    "put_object_legal_hold",
    "put_object_retention",
    "delete_object",
    "delete_object_tagging",
    "restore_object",
)


def record(recorder: Recorder) -> None:
    """Report every change from now on."""
    for method in BUCKET_METHODS:
        recorder.wrap(S3Backend, method, _bucket)
    for method in KEY_METHODS:
        recorder.wrap(S3Backend, method, _key)
    recorder.wrap(S3Backend, "copy_object", _copied)
    recorder.wrap(S3Backend, "put_object_tagging", _tagged)
    recorder.wrap(S3Backend, "create_multipart_upload", _new_upload)
    recorder.wrap(S3Backend, "upload_part", _part)
    recorder.wrap(S3Backend, "upload_part_copy", _part_copy)
    recorder.wrap(S3Backend, "complete_multipart_upload", _end_of_upload)
    recorder.wrap(S3Backend, "abort_multipart_upload", _end_of_upload)


def restore(journal: Journal) -> None:
    """Put everything back as it was."""
    for resource, body in journal.read(BUCKET):
        state, tags = pickle.loads(body)
        bucket = rebuilt(FakeBucket, state)  # type: ignore[type-abstract]
        bucket.keys = _VersionedKeyStore()
        bucket.multiparts = MultipartDict()
        backend = s3_backends[resource.account][resource.region]
        backend.buckets[bucket.name] = bucket
        s3_backends.bucket_accounts[bucket.name] = (resource.region, resource.account)
        _restore_tags(backend, bucket.arn, tags)
    for resource, body in journal.read(KEY):
        bucket = _backend(resource).buckets[resource.name[0]]
        versions, all_tags = pickle.loads(body)
        dict.__setitem__(bucket.keys, resource.name[1], versions)
        for arn, tags in all_tags.items():
            _restore_tags(_backend(resource), arn, tags)
    for resource, body in journal.read(UPLOAD):
        upload = rebuilt(FakeMultipart, pickle.loads(body))
        upload.parts, upload.partlist = {}, []
        _backend(resource).buckets[resource.name[0]].multiparts[resource.name[1]] = upload
    for resource, body in journal.read(PART):
        bucket_name, upload_id, number = resource.name
        upload = _backend(resource).buckets[bucket_name].multiparts[upload_id]
        upload.parts[int(number)] = pickle.loads(body)
        upload.partlist = sorted(upload.parts)


def _backend(resource: ResourceId) -> S3Backend:
    return s3_backends[resource.account][resource.region]


def _restore_tags(backend: S3Backend, arn: str, tags: dict[str, str]) -> None:
    if tags:
        backend.tagger.tag_resource(arn, [{"Key": key, "Value": value} for key, value in tags.items()])


def _home(backend: S3Backend, bucket_name: str) -> S3Backend:
    """The backend that holds a bucket: names are global, and another account's request may reach it."""
    if bucket_name in s3_backends.bucket_accounts:
        partition, account = s3_backends.bucket_accounts[bucket_name]
        return s3_backends[account][partition]
    return backend


def _id(backend: S3Backend, kind: str, *name: str) -> ResourceId:
    return ResourceId(kind, backend.account_id, backend.partition, name)


def _bucket(backend: S3Backend, bucket_name: str, *_: Any, **__: Any) -> Iterator[Touch]:
    home = _home(backend, bucket_name)

    def body() -> bytes | None:
        bucket = home.buckets.get(bucket_name)
        if bucket is None:
            return None
        state = {name: value for name, value in bucket.__dict__.items() if name not in ("keys", "multiparts")}
        return pickle.dumps((state, home.tagger.get_tag_dict_for_resource(bucket.arn)), pickle.HIGHEST_PROTOCOL)

    yield _id(home, BUCKET, bucket_name), body
    if bucket_name in home.buckets:
        for upload_id in home.buckets[bucket_name].multiparts:
            yield from _upload(home, bucket_name, upload_id)


def _key(backend: S3Backend, bucket_name: str, key_name: str, *_: Any, **__: Any) -> Iterator[Touch]:
    home = _home(backend, bucket_name)

    def body() -> bytes | None:
        bucket = home.buckets.get(bucket_name)
        versions = bucket.keys.getlist(key_name) if bucket else None
        if not versions:
            return None
        tags = {
            version.arn: found
            for version in versions
            if isinstance(version, FakeKey) and (found := home.tagger.get_tag_dict_for_resource(version.arn))
        }
        return pickle.dumps((versions, tags), pickle.HIGHEST_PROTOCOL)

    yield _id(home, KEY, bucket_name, key_name), body


def _copied(
    backend: S3Backend,
    src_key: FakeKey,
    dest_bucket_name: str,
    dest_key_name: str,
    *_: Any,
    **__: Any,
) -> Iterator[Touch]:
    return _key(backend, dest_bucket_name, dest_key_name)


def _tagged(backend: S3Backend, key: FakeKey | None, *_: Any, **__: Any) -> Iterator[Touch]:
    if key is not None and key.bucket_name:
        yield from _key(backend, key.bucket_name, key.name)


def _new_upload(backend: S3Backend, bucket_name: str, *_: Any, **__: Any) -> Iterator[Touch]:
    home = _home(backend, bucket_name)
    if bucket_name in home.buckets and home.buckets[bucket_name].multiparts:
        # The newest is the last; before the call that is an older one, which is written again to no harm.
        yield _upload_itself(home, bucket_name, next(reversed(home.buckets[bucket_name].multiparts)))


def _find_upload(home: S3Backend, bucket_name: str, upload_id: str) -> FakeMultipart | None:
    bucket = home.buckets.get(bucket_name)
    return bucket.multiparts.get(upload_id) if bucket else None


def _upload_itself(home: S3Backend, bucket_name: str, upload_id: str) -> Touch:
    def body() -> bytes | None:
        upload = _find_upload(home, bucket_name, upload_id)
        if upload is None:
            return None
        state = {name: value for name, value in upload.__dict__.items() if name not in ("parts", "partlist")}
        return pickle.dumps(state, pickle.HIGHEST_PROTOCOL)

    return _id(home, UPLOAD, bucket_name, upload_id), body


def _upload(home: S3Backend, bucket_name: str, upload_id: str) -> Iterator[Touch]:
    """An upload and all its parts."""
    yield _upload_itself(home, bucket_name, upload_id)
    upload = _find_upload(home, bucket_name, upload_id)
    for number in list(upload.parts) if upload else []:
        yield _one_part(home, bucket_name, upload_id, number)


def _one_part(home: S3Backend, bucket_name: str, upload_id: str, number: int) -> Touch:
    def body() -> bytes | None:
        upload = _find_upload(home, bucket_name, upload_id)
        part = upload.parts.get(number) if upload else None
        return None if part is None else pickle.dumps(part, pickle.HIGHEST_PROTOCOL)

    return _id(home, PART, bucket_name, upload_id, str(number)), body


def _part(backend: S3Backend, bucket_name: str, multipart_id: str, part_id: int, *_: Any, **__: Any) -> Iterator[Touch]:
    yield _one_part(_home(backend, bucket_name), bucket_name, multipart_id, int(part_id))


def _part_copy(
    backend: S3Backend, dest_bucket_name: str, multipart_id: str, part_id: int, *_: Any, **__: Any
) -> Iterator[Touch]:
    yield _one_part(_home(backend, dest_bucket_name), dest_bucket_name, multipart_id, int(part_id))


def _end_of_upload(backend: S3Backend, bucket_name: str, multipart_id: str, *_: Any, **__: Any) -> Iterator[Touch]:
    yield from _upload(_home(backend, bucket_name), bucket_name, multipart_id)
