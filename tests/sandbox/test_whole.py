"""The sandbox as a whole: what was in it is there after a stop, a kill and a start."""

from datalake_assets.accounts.sessions import session
from datalake_assets.sandbox.sandbox import Sandbox


def test_data_lands_in_the_account_whose_role_was_assumed(sandbox: Sandbox) -> None:
    client = session("flights").client("s3")
    assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == [
        "datalake-flights-raw",
        "datalake-flights-lake",
    ]
    assert session("flights").client("sts").get_caller_identity()["Account"] == "111111111111"
