"""A run that is killed anywhere, then repeated as a new run: every record once, readers see whole versions."""

import pytest

from tests.faults import tasks
from tests.faults.world import World, points

RUN = points("ingest.", "upload.", "publish.", "load.", "ledger.marked")
# The location is created, not updated: nobody else can have published before.
FIRST_RUN = [name for name in RUN if name != "publish.settled"]


@pytest.mark.parametrize("point", FIRST_RUN)
def test_a_first_run_that_is_killed_is_repeated(world: World, point: str) -> None:
    days = world.days()
    world.land("kills", days)
    world.drain()
    world.killed_at(point, tasks.ingest_partitions, "kills", days, world.new_run_id())
    world.assert_whole("kills", days)
    world.recover("kills", days)
    world.assert_equal("kills", days)
