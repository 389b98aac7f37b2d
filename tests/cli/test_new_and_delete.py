"""`datalake new`, `datalake delete` and the arguments of `datalake rerun`."""

import json
import shutil
from pathlib import Path

import pytest

from datalake_assets import project
from datalake_assets.arrivals.partitions import Daily
from datalake_assets.arrivals.run_tags import partition_tags
from datalake_assets.cli.rerun import require_not_going, takes, wanted_partitions
from datalake_assets.cli.webserver import Run, Webserver
from datalake_assets.errors import ConcurrentChange, ConfigurationError
from tests.cli.conftest import Datalake

DAYS = [f"2026-01-{day:02}" for day in range(1, 11)]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree with one account, which commands take for the project's."""
    (tmp_path / "locations" / "flights").mkdir(parents=True)
    (tmp_path / "locations" / "flights" / "__init__.py").touch()
    shutil.copyfile(project.REGISTRY, tmp_path / "registry.yaml")
    (tmp_path / "workspace.yaml").write_text("load_from:\n", encoding="utf-8")
    monkeypatch.setattr(project, "LOCATIONS_FOLDER", tmp_path / "locations")
    monkeypatch.setattr(project, "REGISTRY", tmp_path / "registry.yaml")
    monkeypatch.setattr(project, "WORKSPACE", tmp_path / "workspace.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_account_and_a_pipeline_are_made_and_the_next_steps_told(root: Path, datalake: Datalake) -> None:
    made = datalake("new", "account", "shop")
    assert made.exit_code == 0, made.output
    assert "wrote registry.yaml" in made.stderr
    assert "made up" in made.stderr
    assert "Next: datalake new pipeline shop/NAME" in made.stderr
    written = datalake("new", "pipeline", "flights/orders", "--owner", "shop@example.com")
    assert written.exit_code == 0, written.output
    assert "pytest locations/flights/orders" in written.stderr
    assert "s3://datalake-flights-raw/orders/dt=" in written.stderr
    assert "owner: shop@example.com" in (root / "locations/flights/orders/defs.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["flights/a", "s3://b/c"], "--from crawl"),
        (["flights/a", "--from", "crawl"], "takes the URI"),
        (["flights/a", "--reads", "a/b"], "--from sql"),
        (["flights/a", "--from", "nothing"], "'files', 'crawl', 'sql', 'steps'"),
        (["flights/a", "--from", "sql"], "has no lake table yet"),
        (["flights/a", "--from", "sql", "--reads", "flights/b"], "no pipeline makes a lake table"),
        (["flights/a", "--from", "crawl", "/nonexistent"], "/nonexistent"),
    ],
)
def test_what_does_not_fit_together_is_told(root: Path, datalake: Datalake, arguments: list[str], told: str) -> None:
    result = datalake("new", "pipeline", *arguments)
    assert result.exit_code != 0
    assert told in result.stderr
    assert sorted(path.name for path in (root / "locations/flights").iterdir()) == ["__init__.py"]


def test_a_table_that_is_not_granted_is_refused_with_the_line_to_add(root: Path, datalake: Datalake) -> None:
    (root / "locations/content").mkdir()
    (root / "locations/content/__init__.py").touch()
    assert datalake("new", "pipeline", "content/posts").exit_code == 0
    result = datalake("new", "pipeline", "flights/a", "--from", "sql", "--reads", "content/posts")
    assert result.exit_code == 1
    assert "`posts: [flights]`" in result.stderr


def test_deleting_asks_first_and_says_how_to_remove_the_data(root: Path, datalake: Datalake) -> None:
    datalake("new", "pipeline", "flights/orders")
    refused = datalake("delete", "pipeline", "flights/orders", answer="n\n")
    assert refused.exit_code == 1
    assert (root / "locations/flights/orders").is_dir()
    done = datalake("delete", "pipeline", "flights/orders", answer="y\n")
    assert done.exit_code == 0, done.output
    assert not (root / "locations/flights/orders").exists()
    assert "DROP TABLE lake.orders" in done.stdout


def test_what_is_needed_is_deleted_by_force_alone(root: Path, datalake: Datalake) -> None:
    datalake("new", "pipeline", "flights/orders")
    datalake("new", "pipeline", "flights/counts", "--from", "sql")
    refused = datalake("delete", "pipeline", "flights/orders", "--yes")
    assert refused.exit_code == 1
    assert "flights/counts reads flights/orders" in refused.stderr
    forced = datalake("delete", "pipeline", "flights/orders", "--yes", "--force")
    assert forced.exit_code == 0, forced.output
    assert "Warning: the pipeline flights/counts reads flights/orders" in forced.stderr


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["2026-01-02"], DAYS[1:2]),
        (["2026-01-02..2026-01-04", "2026-01-03"], DAYS[1:4]),
        (["2026-01-05", "2026-01-01"], [DAYS[4], DAYS[0]]),
    ],
)
def test_partitions_are_named_one_by_one_or_from_first_to_last(texts: list[str], found: list[str]) -> None:
    assert wanted_partitions("a/b", texts, DAYS) == found


@pytest.mark.parametrize(
    ("texts", "keys", "told"),
    [
        ([], DAYS, "no partition is named"),
        (["2026-01-11"], DAYS, "has no partition '2026-01-11'"),
        (["2026-01-04..2026-01-02"], DAYS, "ends before it begins"),
        (["2026-01-04.."], DAYS, "has no partition ''"),
        (["2026-01-01"], [], "has no partitions"),
        ([f"{0:03}..{400:03}"], [f"{n:03}" for n in range(401)], "401 runs are too many"),
    ],
)
def test_partitions_that_are_none_are_refused(texts: list[str], keys: list[str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        wanted_partitions("a/b", texts, keys)


def test_the_last_run_of_a_day_may_have_taken_others_too() -> None:
    assert takes({"dagster/partition": "2026-01-02"}, "2026-01-02")
    assert not takes({"dagster/partition": "2026-01-02"}, "2026-01-01")
    gaps = partition_tags(["2026-01-01", "2026-01-03", "2026-01-04"], Daily())
    assert json.loads(gaps["datalake/partitions"]) == ["2026-01-01", "2026-01-03..2026-01-04"]
    assert [day for day in DAYS if takes(gaps, day)] == ["2026-01-01", "2026-01-03", "2026-01-04"]
    assert not takes({}, "2026-01-01")


@pytest.mark.parametrize(
    ("status", "tags", "told"),
    [
        ("STARTED", {}, "is started"),
        ("QUEUED", {}, "is queued"),
        ("FAILURE", {"dagster/will_retry": "true"}, "about to be started again, as `retries` says"),
    ],
)
def test_a_partition_that_is_being_run_is_not_run_beside_it(status: str, tags: dict[str, str], told: str) -> None:
    run = Run("r1", status, 0.0, tags, "a")
    with pytest.raises(ConcurrentChange, match=told):
        require_not_going("a/b", run, Webserver("http://host"))


@pytest.mark.parametrize(
    ("status", "tags"),
    [
        ("SUCCESS", {}),
        ("CANCELED", {}),
        ("FAILURE", {"dagster/will_retry": "false"}),
        ("FAILURE", {"dagster/will_retry": "true", "dagster/auto_retry_run_id": "r2"}),
    ],
)
def test_a_run_that_is_over_keeps_nobody_from_another_one(status: str, tags: dict[str, str]) -> None:
    require_not_going("a/b", Run("r1", status, 0.0, tags, "a"), Webserver("http://host"))
    require_not_going("a/b", None, Webserver("http://host"))
