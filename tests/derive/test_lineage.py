"""Where each column of a query comes from."""

from datalake_assets.derive.lineage import column_sources

LISTINGS, SEARCHES, RATES = ("core_data", "listings"), ("search", "searches"), ("rent_journey", "rates")
TABLES = {LISTINGS: ["listing_id", "city", "dt"], SEARCHES: ["search_id", "city", "dt"], RATES: ["rate"]}


def sources(sql: str, *columns: str) -> dict[str, list[tuple[tuple[str, str], str]]]:
    return column_sources(sql, columns, TABLES, dialect="duckdb", default="rent_journey")


def test_columns_are_followed_through_queries_within_queries() -> None:
    sql = """
    WITH live AS (SELECT city, count(listing_id) AS listings FROM core_data.listings WHERE dt = $partition GROUP BY 1)
    SELECT live.city, coalesce(n, 0) / listings AS rate, 1 AS one
    FROM live LEFT JOIN (SELECT city, count(DISTINCT search_id) AS n FROM search.searches GROUP BY ALL) USING (city)
    """
    found = sources(sql, "city", "rate", "one")
    assert found["city"] == [(LISTINGS, "city")] or set(found["city"]) == {(LISTINGS, "city"), (SEARCHES, "city")}
    assert found["rate"] == [(LISTINGS, "listing_id"), (SEARCHES, "search_id")]
    assert found["one"] == []


def test_a_star_is_all_columns() -> None:
    assert sources("SELECT * FROM core_data.listings", "listing_id", "dt") == {
        "listing_id": [(LISTINGS, "listing_id")],
        "dt": [(LISTINGS, "dt")],
    }


def test_tables_are_known_by_all_their_names() -> None:
    sql = "SELECT rate AS own, lake.city AS other FROM rates, core_data.lake.listings AS lake"
    assert sources(sql, "own", "other") == {"own": [(RATES, "rate")], "other": [(LISTINGS, "city")]}
