"""The demo's second half: two accounts publish listings and searches, and a third counts over both by itself."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from datalake_assets.names import qualified, quoted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from datalake_assets.cli.progress import Watch

PIPELINE = "rent_journey/pipeline_x"
LOCATIONS = ("core_data", "search", "rent_journey")
MOST_DAYS = 2  # every day is a run of each of the three pipelines

QUERY_TITLE = "Where are flats wanted most? (trend: above the mean of its week)"
QUERY_COLUMNS = {
    "city": "city",
    "live_listings": "listings",
    "searches": "searches",
    "searches_per_listing": "searches per\nlisting",
    "trend_percent": "trend, %",
}
QUERY = """
select city, live_listings, searches, searches_per_listing, trend_percent
from marts.daily_searches_per_listing
where search_date = (select max(search_date) from marts.daily_searches_per_listing)
order by demand_rank
""".strip()


@dataclass
class CaseStudy:
    """What three accounts made of each other; written as it is by `--json`."""

    days: int = 0
    files: int = 0
    seconds: float = 0.0
    tables: list[dict[str, Any]] = field(default_factory=list)
    query: dict[str, Any] = field(default_factory=dict)


def land_case_study(days: int, report: CaseStudy) -> dict[str, list[str]]:
    """Land listings and searches of the first days in the buckets of their accounts; return the keys by location."""
    from datalake_assets.accounts.sessions import session
    from datalake_assets.sandbox import listings, searches
    from datalake_assets.sandbox.samples import upload

    chosen = listings.first_days(min(days, MOST_DAYS))
    report.days = len(chosen)
    landed: dict[str, list[str]] = {}
    for location, files in (("core_data", listings.listings(chosen)), ("search", searches.searches(chosen))):
        account = session(location)
        landed[location] = list(upload(account.client("s3"), account.account.raw_bucket, files).keys)
        report.files += len(landed[location])
    return landed


def partitions(report: CaseStudy) -> list[str]:
    """The days that the metric will have."""
    from datalake_assets.sandbox.listings import first_days

    return [str(day) for day in first_days(report.days)]


def collect_case_study(watch: "Watch", report: CaseStudy) -> None:
    """Count what was built: the lake from Dagster's history, the warehouse by asking it."""
    from datalake_assets.accounts.secrets import warehouse_secret
    from datalake_assets.warehouse.connection import connect

    report.seconds = watch.seconds_until("rent_journey")
    with connect(warehouse_secret("rent_journey")) as connection:
        for table in (each for each in watch.tables if each.location in LOCATIONS):
            built = watch.history.built(table.lake_key)
            counted: int | None = None
            if table.warehouse_table:
                schema, name = qualified(table.warehouse_table)
                rows = connection.execute(f"select count(*) from {quoted(schema)}.{quoted(name)}").rows
                counted = int(rows[0][0])
            report.tables.append(
                {
                    "table": f"{table.location}/{table.lake_key[2]}",
                    "files": table.files,
                    "partitions": len(built),
                    "rows_published": sum(each.rows for each in built.values()),
                    "rows_quarantined": _sum(built, "rows_quarantined"),
                    "rows_duplicate": _sum(built, "rows_duplicate"),
                    "redshift_rows": counted,
                }
            )
        answer = [list(row) for row in connection.execute(QUERY).rows]
    report.query = {"title": QUERY_TITLE, "sql": QUERY, "columns": list(QUERY_COLUMNS), "rows": answer}


def _sum(built: Any, name: str) -> int:
    return sum(int(each.metadata.get(name, 0)) for each in built.values())


def show_case_study(report: CaseStudy, console: "Console") -> None:
    """Print the tables of the three accounts, and what the mart says."""
    from rich.table import Table

    table = Table(title="What three accounts made of each other", title_justify="left", title_style="bold")
    table.add_column("account/table", no_wrap=True)
    headings = {
        "files": "files",
        "partitions": "days",
        "rows_published": "rows",
        "rows_quarantined": "set\naside",
        "rows_duplicate": "twice\nthere",
        "redshift_rows": "in Red-\nshift",
    }
    for heading in headings.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for row in report.tables:
        table.add_row(row["table"], *[_number(row[name]) for name in headings])
    console.print(table)
    console.print(
        f"{PIPELINE} waited for both, day by day, and was there {report.seconds:.1f} s after the files had landed.\n",
        soft_wrap=True,
    )
    console.print(answer_table(report.query, QUERY_COLUMNS))


def answer_table(query: dict[str, Any], columns: dict[str, str]) -> "Table":
    """The rows of a query under their headings; the first column is text, the others are numbers."""
    from rich.table import Table

    answer = Table(title=query["title"], title_justify="left", title_style="bold")
    for number, heading in enumerate(columns.values()):
        answer.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for values in query["rows"]:
        answer.add_row(*["" if value is None else str(value) for value in values])
    return answer


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
