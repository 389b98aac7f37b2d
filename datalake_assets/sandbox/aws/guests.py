"""Requests of one account that reach into another: let in where a policy of the owner says so, refused elsewhere.

moto lets everybody into every bucket or nobody, takes any role for anybody, and looks for a foreign Glue catalog in the
caller's own. What an account may do with its *own* things is not checked here: the policies for that are AWS's to
enforce. The platform's own account gets into all buckets, so that the Redshift gateway can read for COPY.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from moto.core.exceptions import JsonRESTError, ServiceException
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.glue.models import GlueBackend, glue_backends
from moto.glue.responses import GlueResponse
from moto.iam.models import iam_backends
from moto.s3.models import FakeBucket, S3Backend, s3_backends
from moto.sts.models import AssumedRole, STSBackend

from datalake_assets.sandbox.aws.policy import allows
from datalake_assets.sandbox.aws.strangers import Answer, key_and_service, xml

_ACTIONS = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "DELETE": "s3:DeleteObject"}
Asked = tuple[str, str, str, Mapping[str, str]]

_TARGET = re.compile(r"AWSGlue\.(\w+)")


class _Denied(JsonRESTError):
    code = 400

    def __init__(self, who: str, action: str, resource: str) -> None:
        super().__init__(
            "AccessDeniedException",
            f"User: {who} is not authorized to perform: {action} on resource: {resource} because no resource-based "
            f"policy allows the {action} action",
        )


class _NotTrusted(ServiceException):
    """What STS answers when the trust policy of a role does not name the caller, or asks for another external id."""

    def __init__(self, role: str) -> None:
        super().__init__("AccessDenied", f"Not authorized to perform: sts:AssumeRole on resource: {role}")
        self.status_code = 403


def apply(replace: Any) -> None:
    """Mend moto in this process; `replace` puts a function in the place of one that is there."""
    _keep_buckets_apart(replace)
    _find_foreign_catalogs(replace)
    _ask_for_trust(replace)


def refuse_guest(environ: dict[str, Any]) -> Answer | None:
    """Return S3's answer to a request for another account's objects that the bucket's policy does not allow."""
    key, service = key_and_service(environ)
    if service != "s3":
        return None
    account, role = _caller(key)
    for action, bucket_name, object_key, context in _asked(environ):
        bucket = _foreign_bucket(bucket_name, account)
        if bucket is None or account == DEFAULT_ACCOUNT_ID:
            continue
        resource = f"arn:aws:s3:::{bucket_name}" + (f"/{object_key}" if object_key else "")
        if not allows(bucket.policy, account=account, role=role, action=action, resource=resource, context=context):
            text = f"{role or account} is not authorized to perform: {action} on resource: {resource}"
            return xml(f"<Error><Code>AccessDenied</Code><Message>{text}</Message></Error>")
    return None


def _asked(environ: dict[str, Any]) -> list[Asked]:
    """What a request needs: action, bucket, key ('' for the bucket itself), condition keys."""
    bucket, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    method = environ["REQUEST_METHOD"]
    if not bucket:
        return []
    if key:
        action = _ACTIONS.get(method, "s3:PutObject")
        if "versionId" in query and action == "s3:GetObject":
            action = "s3:GetObjectVersion"
        asked: list[Asked] = [(action, bucket, key, {})]
        if source := unquote(environ.get("HTTP_X_AMZ_COPY_SOURCE", "")).lstrip("/"):
            from_bucket, _, from_key = source.partition("/")
            asked.append(("s3:GetObject", from_bucket, from_key.partition("?")[0], {}))
        return asked
    is_listing = method in ("GET", "HEAD") and not {"policy", "notification", "acl", "versioning"} & set(query)
    prefix = query.get("prefix", [""])[0]
    return [("s3:ListBucket" if is_listing else "s3:OwnersOnly", bucket, "", {"s3:prefix": prefix})]


def _foreign_bucket(name: str, account: str) -> FakeBucket | None:
    if name not in s3_backends.bucket_accounts:
        return None
    partition, owner = s3_backends.bucket_accounts[name]
    return None if owner == account else s3_backends[owner][partition].buckets.get(name)


def _caller(key: str) -> tuple[str, str | None]:
    """The account, and the role if it is one, of an access key."""
    for account, partitions in list(iam_backends.items()):
        for backend in list(partitions.values()):
            if (found := backend.access_keys.get(key)) is not None:
                return account, found.role_arn
    return DEFAULT_ACCOUNT_ID, None


def _keep_buckets_apart(replace: Any) -> None:
    # The second gate, for whatever reaches a bucket on another way than the first one knows.
    get = S3Backend.get_bucket

    def get_bucket(self: S3Backend, bucket_name: str) -> FakeBucket:
        bucket = _foreign_bucket(bucket_name, self.account_id)
        if bucket is not None and (
            self.account_id == DEFAULT_ACCOUNT_ID or self.account_id.encode() in (bucket.policy or b"")
        ):
            return bucket
        return get(self, bucket_name)

    replace(S3Backend, "get_bucket", get_bucket)


def _find_foreign_catalogs(replace: Any) -> None:
    def glue_backend(self: GlueResponse) -> GlueBackend:
        catalog = self.parameters.get("CatalogId") or self.current_account
        backend = glue_backends[catalog][self.region]
        if catalog == self.current_account:
            return backend
        found = _TARGET.search(self.headers.get("X-Amz-Target", ""))
        action = f"glue:{found[1] if found else 'Unknown'}"
        account, role = _caller(self.get_access_key())
        policy = backend.resource_policies.get(backend.default_catalog_arn, {}).get("PolicyInJson")
        for resource in _glue_resources(catalog, self.region, action, self.parameters):
            if not allows(policy, account=account, role=role, action=action, resource=resource):
                raise _Denied(role or account, action, resource)
        return backend

    replace(GlueResponse, "glue_backend", property(glue_backend))


def _glue_resources(account: str, region: str, action: str, parameters: Mapping[str, Any]) -> list[str]:
    """All that must be allowed, as AWS asks for it: the catalog, the database and the table."""
    prefix = f"arn:aws:glue:{region}:{account}"
    database = parameters.get("DatabaseName") or (parameters.get("Name") if "Database" in action else None)
    table = parameters.get("TableName") or (parameters.get("Name") if "DatabaseName" in parameters else None)
    found = [f"{prefix}:catalog"]
    if database:
        found.append(f"{prefix}:database/{database}")
        if table or action == "glue:GetTables":
            found.append(f"{prefix}:table/{database}/{table or '*'}")
    return found


def _ask_for_trust(replace: Any) -> None:
    assume = STSBackend.assume_role

    def assume_role(self: STSBackend, *args: Any, **kwargs: Any) -> AssumedRole:
        role, external_id = kwargs["role_arn"], kwargs.get("external_id")
        trust = _trust(role)
        # A role that nobody has made yet is anybody's, as in moto: it is how the first one gets into an account.
        if trust is not None and not allows(
            trust,
            account=self.account_id,
            role=None,
            action="sts:AssumeRole",
            resource="",
            context={"sts:ExternalId": external_id} if external_id else {},
        ):
            raise _NotTrusted(role)
        return assume(self, *args, **kwargs)

    replace(STSBackend, "assume_role", assume_role)


def _trust(role_arn: str) -> str | None:
    account = role_arn.split(":")[4] if role_arn.count(":") >= 5 else ""
    for backend in list(iam_backends[account].values()) if account in iam_backends else []:
        for role in backend.roles.values():
            if role.arn == role_arn:
                document: str = role.assume_role_policy_document
                return document
    return None
