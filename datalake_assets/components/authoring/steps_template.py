"""The files of a new StepsPipeline: two steps that run as they are, and the other kinds to copy."""

from datalake_assets.components.authoring.words import NewName, filled

_DECLARATION = """\
# A list of steps. Each has its own log, time, retries and status; a run that failed is resumed after the last step that
# succeeded: `datalake rerun <location>/<name> DAY --from-failure`. All words: docs/steps.md
type: datalake_assets.components.StepsPipeline
attributes:
  name: <name>  # of this folder and of the job
  description: Tells the weekday of each day.  # shown in the UI
  owner: <owner>  # whom alerts name: team:NAME or an e-mail address
  # One partition a day from then on; {hourly: …} is possible, too. Without this line, a run is for no day.
  partitions: {daily: "<day>"}
  # When a day runs. After other pipelines, of any account, or when one of them failed: docs/triggers.md
  trigger:
    schedule: {hour: 6, time_zone: Europe/Berlin}
    # executions: {allOf: [{name: listings, account: core_data, status: [SUCCESS]}]}
  retries: 1  # a failed run is started once more
  max_runtime: 1h  # a run that takes longer is ended
  steps:  # one after the other; `needs: [a, b]` lets a step wait for those alone, and others run beside it
    - name: greet
      shell: |
        echo "computing $DATALAKE_PARTITION in $DATALAKE_LOCATION"
    - name: tell_weekday
      python: <location>_<name>.py:tell_weekday  # a function of the file beside this one
      timeout: 5m
      retries: 2  # of this step alone
      # env: {API_KEY: {secret: NAME, key: KEY}}  # from the account's Secrets Manager; never shown in logs
    # - {name: count, sql: "CREATE TABLE IF NOT EXISTS lake.days (day DATE); INSERT INTO lake.days VALUES ($partition)"}
    # - {name: models, dbt: [+daily_delays]}
    # - {name: clean, spark: "clean.py:clean"}
"""

_STEPS = '''\
"""The work of the steps. A function gets what its parameters are called: `partition`, `context`."""

from datetime import date


def tell_weekday(partition: str) -> dict[str, str]:
    """Tell the weekday of a day. What is printed is the step's log, what is returned its metadata in the UI."""
    weekday = date.fromisoformat(partition).strftime("%A")
    print(f"{partition} is a {weekday}")
    return {"weekday": weekday}
'''

_TEST = '''\
"""What the steps do; pytest runs this without AWS."""

import runpy
from pathlib import Path

from datalake_assets.components.declarations import read_all

FOLDER = Path(__file__).parent
WORK = runpy.run_path(str(FOLDER / "<location>_<name>.py"))


def test_its_steps_are_declared_without_mistakes() -> None:
    (declared,) = read_all(FOLDER)
    assert declared.spec.name == "<name>"


def test_a_day_is_told_with_its_weekday() -> None:
    assert WORK["tell_weekday"]("2026-01-02") == {"weekday": "Friday"}
'''


def steps_files(new: NewName) -> dict[str, str]:
    """The files of the pipeline by their names."""
    return {
        "defs.yaml": filled(_DECLARATION, new),
        # Type checkers want each module to be called otherwise, as pytest does.
        f"{new.location}_{new.name}.py": filled(_STEPS, new),
        new.test_name: filled(_TEST, new),
    }
