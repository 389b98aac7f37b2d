"""`datalake land`: sample files into an account's raw bucket, as if their source had exported them."""

import click

# sample → the location whose raw bucket takes it
SAMPLES = {"flights": "flights", "movie_posts": "content"}


@click.command()
@click.argument("sample", type=click.Choice(list(SAMPLES)))
@click.option("--days", default=3, show_default=True, type=click.IntRange(1, 365), help="The first days of the sample.")
@click.option("--seed", default=7, show_default=True, help="movie_posts: another seed, other posts.")
@click.option("--clean", is_flag=True, help="movie_posts: without a single fault in them.")
def land(sample: str, days: int, seed: int, clean: bool) -> None:
    """Land days of a SAMPLE in the raw bucket of its account; its pipelines then run by themselves.

    Landing the same days again puts the same bytes under the same keys.
    """
    from datalake_assets.accounts.aws_errors import aws_errors
    from datalake_assets.accounts.sessions import session
    from datalake_assets.sandbox import movie_posts, samples

    account = session(SAMPLES[sample])
    bucket = account.account.raw_bucket
    if sample == "flights":
        files = samples.samples(samples.first_days(days))
    else:
        mess = movie_posts.Mess.none() if clean else movie_posts.Mess()
        files = movie_posts.movie_posts(movie_posts.first_days(days), seed=seed, mess=mess)
    with aws_errors(f"s3://{bucket}"):
        landed = samples.upload(account.client("s3"), bucket, files)
    click.echo(f"landed {landed.files} files, {landed.rows:,} rows, {landed.bytes:,} bytes in s3://{bucket}")
