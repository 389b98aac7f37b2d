"""`CrawlAsset`: a crawl as an asset. Materializing it crawls, its metadata is the report, its schedule repeats it."""

from pathlib import Path
from typing import Any

import dagster as dg

from datalake_assets.accounts.registry import registry
from datalake_assets.components.declared_component import DeclaredComponent
from datalake_assets.components.upkeep.jobs import request_unless_going
from datalake_assets.components.words.crawl_spec import CrawlSpec
from datalake_assets.names import identifier

MAX_HOURS = 6  # run monitoring ends a crawl that takes longer, so that it cannot block its schedule for ever


class CrawlAsset(DeclaredComponent[CrawlSpec]):
    """Unknown files become tables of the catalog, by schedule; the words are those of `CrawlSpec`."""

    model = CrawlSpec

    def definitions(self, location: str, folder: Path) -> dg.Definitions:
        return build_crawl_definitions(location, self.spec, folder=folder)


def crawl_key(location: str, name: str) -> dg.AssetKey:
    """The asset of a crawl."""
    return dg.AssetKey([identifier(location, what="location"), "crawl", identifier(name)])


def build_crawl_definitions(location: str, spec: CrawlSpec, *, folder: Path) -> dg.Definitions:
    """The asset of a crawl, its job and its schedule.

    Args:
        folder: where the defs.yaml is; `classifiers` is a file in it.

    Raises:
        ConfigurationError: the location is not in the account registry.
    """
    account = registry().account(location)
    settings: dict[str, Any] = {
        "writes to": (spec.database or account.glue_database) if spec.register_tables else "nothing, it only reports",
        "policy": spec.policy,
        "deleted": spec.deleted,
        "crawler": spec.crawler,
    }

    @dg.asset(
        key=crawl_key(location, spec.name),
        description=spec.description or f"What there is below {', '.join(spec.uris)}, as a crawl finds it.",
        owners=[spec.owner],
        group_name=spec.name,
        kinds={"glue"} if spec.crawler == "glue" else {"crawl"},
        metadata={"dagster/uri": spec.uris[0], **settings},
        op_tags={"datalake/owner": spec.owner},
    )
    def crawl(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        # Imported by the run, not by the code location: boto3 and Arrow come with it.
        from datalake_assets.components.crawling import crawl_again

        return crawl_again(context, location, spec, folder=folder)

    job = dg.define_asset_job(
        spec.name,
        selection=dg.AssetSelection.assets(crawl_key(location, spec.name)),
        description=spec.description,
        tags={
            "datalake/crawl": f"{location}/{spec.name}",
            "datalake/owner": spec.owner,
            "dagster/max_runtime": str(MAX_HOURS * 3600),
        },
    )
    return dg.Definitions(assets=[crawl], jobs=[job], schedules=[_schedule(spec, job)] if spec.schedule else [])


def _schedule(spec: CrawlSpec, job: Any) -> dg.ScheduleDefinition:
    assert spec.schedule is not None

    @dg.schedule(
        name=f"{spec.name}_schedule",
        job=job,
        cron_schedule=spec.schedule.cron,
        execution_timezone=spec.schedule.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Crawls {', '.join(spec.uris)}. Skips its turn while a crawl is still going.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        return request_unless_going(context.instance, spec.name)

    return schedule
