import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["datalake_assets.catalog.publish", "datalake_assets.warehouse.merge"])
def test_importing_loads_no_client_library(module: str) -> None:
    libraries = {"boto3", "botocore", "pyarrow", "redshift_connector", "pandas", "tenacity"}
    program = f"import sys, {module}; print(sorted({libraries} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
