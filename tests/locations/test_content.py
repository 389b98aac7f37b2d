"""The location of what people write, without any service."""

import dagster as dg

from datalake_assets import definitions


def lake(table: str) -> dg.AssetKey:
    return dg.AssetKey(["content", "lake", table])


def test_children_show_their_parent_as_lineage() -> None:
    graph = definitions.content.resolve_asset_graph()
    assert lake("movie_posts_comments") in graph.get(lake("movie_posts_likes")).parent_keys
    assert lake("movie_posts") in graph.get(lake("movie_posts_comments")).parent_keys
    assert dg.AssetKey(["content", "raw", "movie_posts"]) in graph.get(lake("movie_posts")).parent_keys
