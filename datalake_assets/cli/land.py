"""`datalake land`: sample files into an account's raw bucket, as if their source had exported them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from datalake_assets.sandbox.samples import Sample

# sample → the location whose raw bucket takes it
SAMPLES = {"flights": "flights", "movie_posts": "content", "listings": "core_data", "searches": "search"}
WITH_LATE_FILES = ("listings", "searches")


@click.command()
@click.argument("sample", type=click.Choice(list(SAMPLES)))
@click.option("--days", default=3, show_default=True, type=click.IntRange(1, 365), help="The first days of the sample.")
@click.option("--late", is_flag=True, help="listings, searches: only the files that come hours after the others.")
@click.option("--seed", default=7, show_default=True, help="Another seed, other rows; flights are real and have none.")
@click.option("--clean", is_flag=True, help="Without a single fault in them; flights are as they are.")
def land(sample: str, days: int, late: bool, seed: int, clean: bool) -> None:
    """Land days of a SAMPLE in the raw bucket of its account; its pipelines then run by themselves.

    Landing the same days again puts the same bytes under the same keys.
    """
    from datalake_assets.accounts.aws_errors import aws_errors
    from datalake_assets.accounts.sessions import session
    from datalake_assets.sandbox import samples

    if late and sample not in WITH_LATE_FILES:
        raise click.UsageError(f"{sample} have no late files; expected one of {', '.join(WITH_LATE_FILES)}")
    account = session(SAMPLES[sample])
    bucket = account.account.raw_bucket
    with aws_errors(f"s3://{bucket}"):
        landed = samples.upload(account.client("s3"), bucket, _files(sample, days, late=late, seed=seed, clean=clean))
    click.echo(f"landed {landed.files} files, {landed.rows:,} rows, {landed.bytes:,} bytes in s3://{bucket}")


def _files(sample: str, days: int, *, late: bool, seed: int, clean: bool) -> "Iterator[Sample]":
    from datalake_assets.sandbox import listings, movie_posts, samples, searches

    if sample == "flights":
        return samples.samples(samples.first_days(days))
    if sample == "movie_posts":
        faults = movie_posts.Mess.none() if clean else movie_posts.Mess()
        return movie_posts.movie_posts(movie_posts.first_days(days), seed=seed, mess=faults)
    first = listings.first_days(days)
    if sample == "listings":
        make = listings.late_listings if late else listings.listings
        return make(first, seed=seed, mess=listings.Mess.none() if clean else None)
    take = searches.late_searches if late else searches.searches
    return take(first, seed=seed, mess=searches.Mess.none() if clean else None)
