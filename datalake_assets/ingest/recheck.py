"""Run the declared checks on what readers see now: for checks that were declared or changed after it was published."""

import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.accounts.sessions import AccountSession
from datalake_assets.accounts.settings import settings
from datalake_assets.catalog.manifest import CheckResult, Manifest
from datalake_assets.catalog.versions import LakeObject
from datalake_assets.errors import ManifestMismatch
from datalake_assets.ingest.audit import as_manifest_results
from datalake_assets.ingest.pipeline import Pipeline
from datalake_assets.mapping.checks import run_checks


def recheck(pipeline: Pipeline, account: AccountSession, manifest: Manifest) -> tuple[CheckResult, ...]:
    """Download a published version and run the checks on it; nothing is changed, whatever they find.

    Raises:
        ManifestMismatch: an object of the version is not what was uploaded.
        OutOfSpace: memory or disk of this machine is not enough.
        TransientError: S3 does not answer.
    """
    if not pipeline.checks:
        return ()
    with tempfile.TemporaryDirectory(prefix=f"datalake-{pipeline.name}-") as scratch:
        folder = Path(scratch) / "published"
        folder.mkdir()
        found = run_checks(
            pipeline.checks,
            _download(account, manifest.version.objects, folder),
            partition=manifest.version.partition,
            memory_limit=settings().memory_limit,
            threads=os.cpu_count(),
        )
    return as_manifest_results(found)


def _download(account: AccountSession, objects: Sequence[LakeObject], folder: Path) -> list[Path]:
    s3, bucket = account.client("s3"), account.account.lake_bucket

    def download(numbered: tuple[int, LakeObject]) -> Path:
        number, item = numbered
        path, uri = folder / f"part-{number:05d}.parquet", f"s3://{bucket}/{item.key}"
        with aws_errors(uri):
            s3.download_file(bucket, item.key, str(path))
        if path.stat().st_size != item.size:
            raise ManifestMismatch(f"the object has {path.stat().st_size} bytes", where=uri, expected=f"{item.size}")
        return path

    with ThreadPoolExecutor(max_workers=settings().download_threads, thread_name_prefix="recheck") as pool:
        return list(pool.map(download, enumerate(objects)))
