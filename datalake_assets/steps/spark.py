"""An embedded Spark for one step: Sail, started when a step wants it, gone when the step is."""

import atexit
import os
import sys
from importlib.util import find_spec

from datalake_assets.errors import Unsupported


def require_spark(where: str) -> None:
    """Refuse a Spark step where there is no Spark.

    Raises:
        Unsupported: PySpark, or the embedded engine and no address of another one, is not installed.
    """
    needed = ["pyspark"] if os.environ.get("SPARK_REMOTE") else ["pyspark", "pysail"]
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise Unsupported(
            f"Spark is not installed here ({' and '.join(missing)} missing)",
            where=where,
            todo="Install the project with its extra `spark`, or set SPARK_REMOTE to the address of a Spark Connect "
            "server",
        )


def start_embedded_spark() -> str:
    """Start Sail in this process and return its address; it stops when the process ends."""
    _name_credentials()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("RUST_LOG", "error")  # of each session it tells how it came and went
    from pysail.spark import SparkConnectServer  # type: ignore[import-untyped]

    server = SparkConnectServer(ip="127.0.0.1")
    server.start(background=True)
    # Sessions that a program leaves open say goodbye at its end, and for minutes try to reach a server that is gone:
    # what was registered first is done last.
    atexit.register(server.stop)
    _, port = server.listening_address
    return f"sc://127.0.0.1:{port}"


def _name_credentials() -> None:
    """Sail reads S3 with the keys of the environment: put the step's there, which last for an hour."""
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        credentials = boto3.Session().get_credentials()
        keys = credentials.get_frozen_credentials() if credentials else None
    except BotoCoreError as error:
        print(f"no credentials for S3: {error}", file=sys.stderr)
        return
    if keys is not None and keys.access_key and keys.secret_key:
        os.environ["AWS_ACCESS_KEY_ID"] = keys.access_key
        os.environ["AWS_SECRET_ACCESS_KEY"] = keys.secret_key
        if keys.token:
            os.environ["AWS_SESSION_TOKEN"] = keys.token
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
    if endpoint.startswith("http://"):
        os.environ["AWS_ALLOW_HTTP"] = "true"
