"""Samples made from bytes."""

import io

from datalake_assets.discovery.classifiers.sample import SAMPLE_BYTES, Sample


def sample(content: bytes | str, name: str = "it", *, head_bytes: int = SAMPLE_BYTES) -> Sample:
    """An object of these bytes, of which the first `head_bytes` were fetched."""
    data = content.encode() if isinstance(content, str) else content
    return Sample(f"s3://raw/in/{name}", data[:head_bytes], len(data), lambda: io.BytesIO(data))
