"""Every command of docs/operations.md is one that a person can copy and run."""

import re
import shlex

import pytest

from datalake_assets.project import PROJECT_ROOT
from datalake_assets.sandbox.samples import first_days, land
from tests.cli.conftest import Datalake
from tests.integration.user import Platform

PAGE = (PROJECT_ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
COMMANDS = [
    line.split("  #")[0].strip()
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line
]


@pytest.fixture(scope="module")
def three_days(shared_platform: Platform) -> None:
    """What the page's examples are about: three days of flights, the third published again after a correction."""
    landed = land(shared_platform.s3, shared_platform.account.raw_bucket, first_days(3))
    assert landed.files
    days = ["2013-01-01", "2013-01-03"]
    assert shared_platform.run("flights", days).success
    assert shared_platform.run("flights", days[-1]).success
    # A session of all tests has more in its lake than its warehouse holds, and the page shows a healthy platform.
    from datalake_assets.components.pipelines import find_pipelines
    from datalake_assets.components.upkeep.following import follow

    for declared in find_pipelines([]):
        list(follow(declared, run_id="page", report=shared_platform.instance.report_runless_asset_event))


@pytest.mark.usefixtures("three_days", "platform")
def test_the_commands_of_the_page_succeed_one_after_the_other(datalake: Datalake) -> None:
    assert len(COMMANDS) >= 15
    for command in COMMANDS:
        name, *arguments = shlex.split(command)
        assert name == "datalake"
        result = datalake(*arguments)
        assert result.exit_code == 0, f"{command}: {result.output}"
        assert result.output.strip(), command


def test_the_page_names_every_job_and_its_time() -> None:
    from datalake_assets import definitions

    jobs = definitions.operations.get_repository_def().schedule_defs
    assert jobs
    for schedule in jobs:
        (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{schedule.job_name}` |")]
        minute, hour = schedule.cron_schedule.split()[:2]
        shown = {"*/15": "every 15 minutes"}.get(minute) or (
            f"minute {minute} of each hour" if hour == "*" else f"{int(hour):02}:{int(minute):02}"
        )
        assert shown in line
