"""`python -m datalake_assets.sandbox.aws --port N --file F --account ID`: the AWS of the sandbox."""

import argparse
import os
from pathlib import Path


def main() -> None:
    """Set what moto reads from the environment while it is imported, then serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--account", required=True, help="whose credentials unknown access keys are")
    options = parser.parse_args()
    for name in [name for name in os.environ if name.startswith(("AWS_", "MOTO_"))]:
        del os.environ[name]
    os.environ |= {
        "MOTO_ACCOUNT_ID": options.account,
        "MOTO_PORT": str(options.port),
        "MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS": "false",
        "MOTO_DISABLE_GLOBAL_CORS": "true",  # no web page shall read what is in here
        "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
        "MOTO_EVENTS_INVOKE_HTTP": "false",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": "sandbox",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
        "AWS_DEFAULT_REGION": "us-east-1",
    }

    from datalake_assets.sandbox.aws.server import serve

    # moto has taken the default from it by now; left in place it would put every role's requests into that account.
    del os.environ["MOTO_ACCOUNT_ID"]

    serve(options.port, options.file)


if __name__ == "__main__":
    main()
