"""Secrets, roles, and the sessions that were handed out: a client with a role's session keeps it over a restart."""

import pickle
from collections.abc import Iterator
from typing import Any

from moto.core.utils import utcnow
from moto.iam.models import IAMBackend, iam_backends
from moto.secretsmanager.models import SecretsManagerBackend, secretsmanager_backends
from moto.sts.models import AssumedRole, STSBackend, sts_backends

from datalake_assets.sandbox.aws.journal import Journal, ResourceId
from datalake_assets.sandbox.aws.recording import Recorder, Touch

SECRET, SESSION, ROLE = "secretsmanager.secret", "sts.session", "iam.role"
SECRET_METHODS = (
    "cancel_rotate_secret",
    "create_secret",
    "delete_resource_policy",
    "delete_secret",
    "put_resource_policy",
    "put_secret_value",
    "restore_secret",
    "rotate_secret",
    "tag_resource",
    "untag_resource",
    "update_secret",
    "update_secret_version_stage",
)

ROLE_METHODS = (
    "create_role",
    "delete_role",
    "delete_role_policy",
    "put_role_policy",
    "tag_role",
    "untag_role",
    "update_assume_role_policy",
    "update_role",
)


def record(recorder: Recorder) -> None:
    """Report every change from now on."""
    for method in SECRET_METHODS:
        recorder.wrap(SecretsManagerBackend, method, _secrets)
    recorder.wrap(STSBackend, "assume_role", _newest_session)
    for method in ROLE_METHODS:
        recorder.wrap(IAMBackend, method, _roles)


def restore(journal: Journal) -> None:
    """Put everything back as it was, and forget sessions that have expired."""
    for resource, body in journal.read(SECRET):
        store = secretsmanager_backends[resource.account][resource.region].secrets
        dict.__setitem__(store, resource.name[0], pickle.loads(body))
    for resource, body in journal.read(ROLE):
        iam_backends[resource.account][resource.region].roles[resource.name[0]] = pickle.loads(body)
    expired = []
    for resource, body in journal.read(SESSION):
        role: AssumedRole = pickle.loads(body)
        if role.expiration < utcnow():
            expired.append((resource, None))
            continue
        sts_backends[resource.account][resource.region].assumed_roles.append(role)
        iam_backends[resource.account][resource.region].access_keys[role.access_key_id] = role.access_key
    journal.write(expired)


def _secrets(backend: SecretsManagerBackend, *_: Any, **__: Any) -> Iterator[Touch]:
    # A handful of small secrets: all of them, rather than resolving names, ARNs and partial ARNs.
    for key in list(dict.keys(backend.secrets)):
        yield _secret(backend, key)


def _secret(backend: SecretsManagerBackend, key: str) -> Touch:
    def body() -> bytes | None:
        found = dict.get(backend.secrets, key)
        return None if found is None else pickle.dumps(found, pickle.HIGHEST_PROTOCOL)

    return ResourceId(SECRET, backend.account_id, backend.region_name, (key,)), body


def _roles(backend: IAMBackend, *_: Any, **__: Any) -> Iterator[Touch]:
    for key in list(backend.roles):
        yield _role(backend, key)


def _role(backend: IAMBackend, key: str) -> Touch:
    def body() -> bytes | None:
        found = backend.roles.get(key)
        return None if found is None else pickle.dumps(found, pickle.HIGHEST_PROTOCOL)

    return ResourceId(ROLE, backend.account_id, backend.partition, (key,)), body


def _newest_session(backend: STSBackend, *_: Any, role_arn: str = "", **__: Any) -> Iterator[Touch]:
    account = role_arn.split(":")[4] if role_arn.count(":") >= 5 else backend.account_id
    roles = sts_backends[account][backend.region_name].assumed_roles
    for role in roles[-1:]:
        yield (
            ResourceId(SESSION, account, backend.region_name, (role.access_key_id,)),
            lambda role=role: pickle.dumps(role, pickle.HIGHEST_PROTOCOL),  # type: ignore[misc]
        )
