"""`python -m datalake_assets.sandbox.aws --port N --file F --account ID --access-key KEY`: the AWS of the sandbox."""

import argparse
import os
from pathlib import Path


def main() -> None:
    """Set what moto reads from the environment while it is imported, then serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--account", required=True, help="the platform's own account")
    parser.add_argument("--access-key", required=True, help="the platform's access key id")
    options = parser.parse_args()
    for name in [name for name in os.environ if name.startswith(("AWS_", "MOTO_"))]:
        del os.environ[name]
    os.environ |= {
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

    import moto.core
    import moto.core.models

    # Who comes without a role is the platform. (MOTO_ACCOUNT_ID would put every role's requests there as well.)
    # Set before the backends are imported: each takes a copy.
    for module in (moto.core.models, moto.core):
        vars(module)["DEFAULT_ACCOUNT_ID"] = options.account

    from datalake_assets.sandbox.aws.server import serve

    serve(options.port, options.file, options.access_key)


if __name__ == "__main__":
    main()
