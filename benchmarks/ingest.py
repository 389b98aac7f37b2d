"""Ingest from S3 to S3 beside what others do with the same files: wall time, memory, and what becomes of bad rows.

    python -m benchmarks.ingest [--quick] [--rows 2000000] [--local-rows 10000000] [--runs 3]

Each contender is a process of its own, timed from its start to its exit, on the sandbox's S3 and Glue; the order
rotates from run to run and the minimum counts. The platform does what no other does: versions and manifests, checks,
a quarantine table with every row's reason, the arrival ledger. Beside that, the mapping alone against a bare DuckDB
copy of local files, and a thousand rows.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks._ingest import data
from benchmarks._report import at_least, goal, print_report

DAYS = 10
CONTENDERS = ("platform", "by_hand", "polars_scan", "wrangler", "classic_spark")
SLOW = ("wrangler", "classic_spark")  # once is enough: they are an order of magnitude away
GOAL_OF_BY_HAND = 1.0
GOAL_LOCAL_RATIO = 0.7
GOAL_PEAK_MB = 1_500
GOAL_SMALL_SECONDS = 1.0


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, without the slow contenders")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--local-rows", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", help="contenders, comma-separated")
    options = parser.parse_args()
    rows, local_rows = options.rows, options.local_rows
    if options.quick:
        rows, local_rows = rows // 10, local_rows // 10
    contenders = (
        options.only.split(",") if options.only else [c for c in CONTENDERS if not (options.quick and c in SLOW)]
    )
    with tempfile.TemporaryDirectory(prefix="datalake-benchmark-") as folder:
        # The slow part first, while nothing else of the benchmark is running.
        local = measure_local(Path(folder), local_rows)
        lake, raw_bytes = measure_s3(Path(folder), rows, contenders, options.runs)
    figures = {
        "rows": rows,
        "raw_mb": round(raw_bytes / 1e6),
        "local_rows": local_rows,
        "contenders": lake["contenders"],
        "small_seconds": lake["small_seconds"],
        "local": local,
    }
    found = lake["contenders"]
    goals = {
        f"mapping of {local_rows:,} rows, share of a bare copy's rows/s": at_least(local["ratio"], GOAL_LOCAL_RATIO),
        "peak memory of the mapping, MB": goal(local["mapping_peak_mb"], GOAL_PEAK_MB),
        "1,000 rows beside the process's start, s": goal(lake["small_seconds"], GOAL_SMALL_SECONDS),
    }
    if "by_hand" in found and "platform" in found:
        ratio = found["platform"]["wall_seconds"] / found["by_hand"]["wall_seconds"]
        goals["wall time, share of the script by hand"] = goal(ratio, GOAL_OF_BY_HAND)
    if "platform" in found:
        goals["peak memory of an ingest, MB"] = goal(found["platform"]["peak_mb"], GOAL_PEAK_MB)
    print_report("ingest", figures, goals)


def measure_s3(folder: Path, rows: int, contenders: list[str], runs: int) -> tuple[dict[str, Any], int]:
    """All contenders on the sandbox's S3, and a thousand rows through the platform."""
    from datalake_assets.sandbox.sandbox import Sandbox, any_free_ports

    files = folder / "s3"
    files.mkdir()
    paths = data.write(files, rows, DAYS)
    raw_bytes = sum(path.stat().st_size for path in paths.values())
    (small := folder / "small").mkdir()
    small_paths = data.write(small, 1_000, 1)
    best: dict[str, dict[str, Any]] = {}
    small_seconds: list[float] = []
    for number in range(runs):
        for name in [*contenders[number % len(contenders) :], *contenders[: number % len(contenders)]]:
            if number and name in SLOW:
                continue
            # A sandbox for each: what one has left in the server's memory would slow the next.
            with Sandbox(folder / f"state-{name}-{number}", ports=any_free_ports()) as sandbox:
                order = prepare(sandbox, paths, folder / "out")
                result = timed(name, order, os.environ | sandbox.environment() | credentials(sandbox, name))
                if name == "platform":
                    order = prepare(sandbox, small_paths, folder / "out")
                    start = timed("platform", order | {"warm": True, "days": []}, os.environ | sandbox.environment())
                    whole = timed("platform", order | {"warm": True}, os.environ | sandbox.environment())
                    small_seconds.append(whole["wall_seconds"] - start["wall_seconds"])
            sandbox.state.delete()
            print(f"{name:14} {result}", file=sys.stderr)
            if name not in best or result["wall_seconds"] < best[name]["wall_seconds"]:
                best[name] = result
    return {"contenders": best, "small_seconds": round(min(small_seconds, default=0.0), 2)}, raw_bytes


def prepare(sandbox: Any, paths: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Land the files and return the order for a contender."""
    import boto3

    session = account_session(sandbox)
    s3: Any = boto3.client("s3", **session)  # type: ignore[call-overload]
    for day, path in paths.items():
        s3.upload_file(str(path), "datalake-flights-raw", f"orders/dt={day}/orders.csv")
    return {
        "days": list(paths),
        "raw_bucket": "datalake-flights-raw",
        "lake_bucket": "datalake-flights-lake",
        "database": "flights_lake",
        "files": {day: str(path) for day, path in paths.items()},
        "out": str(out),
    }


def account_session(sandbox: Any) -> dict[str, str]:
    """What boto3 needs to act as the account that owns the buckets."""
    import boto3

    from datalake_assets.accounts.registry import registry

    environment = sandbox.environment()
    account = registry().account("flights")
    sts = boto3.client(
        "sts",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=account.region,
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    found = sts.assume_role(RoleArn=account.role, RoleSessionName="benchmark")["Credentials"]
    return {
        "endpoint_url": environment["AWS_ENDPOINT_URL"],
        "region_name": account.region,
        "aws_access_key_id": found["AccessKeyId"],
        "aws_secret_access_key": found["SecretAccessKey"],
        "aws_session_token": found["SessionToken"],
    }


def credentials(sandbox: Any, name: str) -> dict[str, str]:
    """The account's role in the environment, for all but the platform, which assumes it by itself."""
    if name == "platform":
        return {}
    session = account_session(sandbox)
    return {
        "AWS_DEFAULT_REGION": session["region_name"],
        "AWS_ACCESS_KEY_ID": session["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": session["aws_secret_access_key"],
        "AWS_SESSION_TOKEN": session["aws_session_token"],
    }


def timed(name: str, order: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Run a contender; seconds from its start to its exit, megabytes of it and all its children at their highest."""
    import psutil

    command = [sys.executable, "-m", f"benchmarks._ingest.{name}", json.dumps(order)]
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(environment)
    )
    peak = 0

    def watch() -> None:
        nonlocal peak
        while process.poll() is None:
            try:
                own = psutil.Process(process.pid)
                total = sum(each.memory_info().rss for each in (own, *own.children(recursive=True)))
            except psutil.Error:
                continue
            peak = max(peak, total)
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    output, errors = process.communicate()
    seconds = time.perf_counter() - begin
    watcher.join()
    if process.returncode:
        raise RuntimeError(f"{name} failed: {errors[-2000:]}")
    return {"wall_seconds": round(seconds, 2), "peak_mb": round(peak / 1e6), **json.loads(output.splitlines()[-1])}


def measure_local(folder: Path, rows: int) -> dict[str, Any]:
    """The mapping alone beside a bare copy with the same casts, both on local files; alternating, minimum of two."""
    (files := folder / "local").mkdir()
    paths = [str(path) for path in data.write(files, rows, DAYS).values()]
    results: dict[str, list[dict[str, Any]]] = {"mapping_alone": [], "bare_copy": []}
    for _ in range(2):
        for name, found in results.items():
            found.append(timed(name, {"files": paths, "out": str(folder)}, os.environ))
    for path in files.iterdir():
        path.unlink()
    best = {name: min(found, key=lambda each: each["seconds"]) for name, found in results.items()}
    return {
        "mapping_rows_per_second": round(rows / best["mapping_alone"]["seconds"]),
        "bare_rows_per_second": round(rows / best["bare_copy"]["seconds"]),
        "ratio": round(best["bare_copy"]["seconds"] / best["mapping_alone"]["seconds"], 3),
        "mapping_peak_mb": max(each["peak_mb"] for each in results["mapping_alone"]),
        "bare_peak_mb": max(each["peak_mb"] for each in results["bare_copy"]),
    }


if __name__ == "__main__":
    main()
