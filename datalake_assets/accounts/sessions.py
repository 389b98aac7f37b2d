"""AWS clients of an account: its role assumed, refreshed before it expires, with adaptive retries."""

import threading
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, overload

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.accounts.registry import Account, registry
from datalake_assets.errors import AccessDenied

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sts import STSClient

SESSION_SECONDS = 3600  # the longest that a chained role may last
QUICK_CONNECT_SECONDS, QUICK_READ_SECONDS, QUICK_ATTEMPTS = 3, 5, 2
MAX_POOL_CONNECTIONS = 64  # as many as `settings.download_threads` allows


class AccountSession:
    """Clients that act with one account's role.

    Clients are made once per service, region and patience, and are safe to share between threads, as boto3 promises.
    """

    def __init__(self, account: Account) -> None:
        self.account = account
        self._clients: dict[tuple[str, str, bool], Any] = {}
        self._lock = threading.RLock()
        self._boto: Any = None

    @overload
    def client(self, service: Literal["s3"], region: str | None = None, *, quick: bool = False) -> "S3Client": ...
    @overload
    def client(self, service: Literal["sqs"], region: str | None = None, *, quick: bool = False) -> "SQSClient": ...
    @overload
    def client(self, service: Literal["sns"], region: str | None = None, *, quick: bool = False) -> "SNSClient": ...
    @overload
    def client(self, service: Literal["glue"], region: str | None = None, *, quick: bool = False) -> "GlueClient": ...
    @overload
    def client(self, service: Literal["sts"], region: str | None = None, *, quick: bool = False) -> "STSClient": ...
    @overload
    def client(
        self, service: Literal["secretsmanager"], region: str | None = None, *, quick: bool = False
    ) -> "SecretsManagerClient": ...
    def client(self, service: str, region: str | None = None, *, quick: bool = False) -> Any:
        """Return the client of a service in a region, the account's home region by default.

        Args:
            quick: give up after a few seconds: for those who are asked again soon, such as a sensor's tick.
        """
        where = region or self.account.region
        with self._lock:
            if (service, where, quick) not in self._clients:
                self._clients[service, where, quick] = self._session().client(
                    service, region_name=where, config=quick_config() if quick else client_config()
                )
            return self._clients[service, where, quick]

    def _session(self) -> Any:
        if self._boto is None:
            import boto3
            from botocore.credentials import DeferredRefreshableCredentials
            from botocore.session import get_session

            core = get_session()
            # Deferred: nothing is asked of STS before the first call; refreshed some minutes before the end.
            core._credentials = DeferredRefreshableCredentials(self._assume, "assume-role")  # type: ignore[attr-defined]
            self._boto = boto3.Session(botocore_session=core, region_name=self.account.region)
        return self._boto

    def _assume(self) -> dict[str, str]:
        request: dict[str, Any] = {
            "RoleArn": self.account.role,
            "RoleSessionName": f"datalake-{self.account.name}",
            "DurationSeconds": SESSION_SECONDS,
        }
        if self.account.external_id:
            request["ExternalId"] = self.account.external_id
        try:
            with aws_errors(f"account {self.account.name}"):
                found = _platform_sts().assume_role(**request)["Credentials"]
        except AccessDenied as error:
            raise AccessDenied(
                f"the role {self.account.role} cannot be assumed: {error.found}",
                where=error.where,
                expected="a trust policy that names the platform's own role",
                todo="Mend the role or the account registry",
            ) from error
        return {
            "access_key": found["AccessKeyId"],
            "secret_key": found["SecretAccessKey"],
            "token": found["SessionToken"],
            "expiry_time": found["Expiration"].isoformat(),
        }


def client_config() -> Any:
    """What every client of the platform shares: adaptive retries, and time-outs that end a dead connection."""
    from botocore.config import Config

    return Config(
        retries={"mode": "adaptive", "max_attempts": 8},
        connect_timeout=5,
        read_timeout=60,
        max_pool_connections=MAX_POOL_CONNECTIONS,
    )


def quick_config() -> Any:
    """For calls that are repeated by themselves a moment later: at most two attempts of a few seconds."""
    from botocore.config import Config

    return client_config().merge(
        Config(
            retries={"mode": "standard", "total_max_attempts": QUICK_ATTEMPTS},
            connect_timeout=QUICK_CONNECT_SECONDS,
            read_timeout=QUICK_READ_SECONDS,
        )
    )


@cache
def _platform_sts() -> Any:
    import boto3

    return boto3.client("sts", region_name=registry().platform.region, config=client_config())


@cache
def session(location: str) -> AccountSession:
    """The session of a location's account, one per process."""
    return AccountSession(registry().account(location))
