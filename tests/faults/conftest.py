"""The world of the kill suite: one sandbox, attempts that are forked, a queue whose messages come back at once."""

from collections.abc import Iterator

import pytest

from datalake_assets.sandbox.sandbox import Sandbox
from tests.faults.world import World

VISIBILITY_SECONDS = "1"  # what a killed drain had received comes again after this


@pytest.fixture(scope="session")
def shared_world(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("world"), sandbox)
    sqs = made.outsider.sqs
    url = sqs.get_queue_url(QueueName=made.outsider.account.arrivals_queue)["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": VISIBILITY_SECONDS, "RedrivePolicy": ""})
    sqs.purge_queue(QueueUrl=url)  # the notification's own test message
    yield made
    made.close()


@pytest.fixture
def world(shared_world: World) -> Iterator[World]:
    yield shared_world
    shared_world.end_attempts()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The test of what all others have reached comes last."""
    items.sort(key=lambda item: item.path.name == "test_all_reached.py")
