"""The page about triggers shows what the platform takes, and says about it what the platform says."""

import re
from pathlib import Path

import pytest

from datalake_assets.components.triggering import triggers_of
from datalake_assets.project import PROJECT_ROOT
from datalake_assets.triggers.explained import rule_in_words

PAGE = PROJECT_ROOT / "docs" / "triggers.md"
EXAMPLES = re.findall(
    r"^```yaml\n(trigger:\n.*?)^```\n\n> (.*?)\n", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)

PIPELINE = """\
type: datalake_assets.components.StepsPipeline
attributes:
  name: {name}
  owner: team:somebody
  partitions: {{daily: "2026-01-01", time_zone: Europe/Berlin}}
  steps:
    - {{name: work, shell: "true"}}
"""


def write(tree: Path, location: str, name: str, trigger: str = "trigger:\n  schedule: {hour: 3}\n") -> None:
    path = tree / location / name / "defs.yaml"
    path.parent.mkdir(parents=True)
    indented = "".join(f"  {line}\n" for line in trigger.splitlines())
    path.write_text(PIPELINE.format(name=name) + indented, encoding="utf-8")


@pytest.mark.parametrize(("example", "sentence"), EXAMPLES, ids=[sentence[:40] for _, sentence in EXAMPLES])
def test_an_example_is_a_trigger_and_means_what_the_page_says(example: str, sentence: str, tmp_path: Path) -> None:
    write(tmp_path, "core_data", "listings")
    write(tmp_path, "search", "searches")
    write(tmp_path, "rent_journey", "pipeline_x", example)
    (trigger,) = triggers_of("rent_journey", tmp_path)
    assert rule_in_words(trigger) == sentence


def test_each_example_of_the_page_is_read() -> None:
    assert len(EXAMPLES) == PAGE.read_text(encoding="utf-8").count("```yaml\n") == 8
