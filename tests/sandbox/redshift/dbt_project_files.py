"""A tiny dbt project that uses what the adapter can do, from seeds to grants and docs."""

from pathlib import Path
from textwrap import dedent

_FILES = {
    "dbt_project.yml": """
        name: tiny
        version: "1.0"
        profile: tiny
        flags: {send_anonymous_usage_stats: false}
        seeds: {tiny: {+column_types: {seen_on: date}}}
        models: {tiny: {+persist_docs: {relation: true, columns: true}}}
    """,
    "seeds/birds.csv": '''
        id,name,weight,seen_on
        1,"owl, ""barn""",1.5,2013-01-01
        2,wren,0.01,2013-01-02
        3,it's a kite,,2013-02-03
    ''',
    "models/stg_birds.sql": """
        {{ config(materialized='view') }}
        select id, name, weight, seen_on, getdate() as loaded_at -- DISTKEY(id) is only said here
        from {{ ref('birds') }}
    """,
    "models/late_birds.sql": """
        {{ config(materialized='view', bind=false) }}
        select id, name from {{ ref('birds') }}
    """,
    "models/birds_by_month.sql": """
        {{ config(materialized='table', dist='month', sort=['month', 'names'], sort_type='compound', backup=false,
                  grants={'select': ['reader']}) }}
        select
            {{ dbt.date_trunc('month', 'seen_on') }} as month,
            {{ dbt.listagg('name', "', '", 'order by id') }} as names,
            count(*) as birds,
            {{ dbt.datediff('min(seen_on)', 'max(seen_on)', 'day') }} as days,
            nvl(sum(weight), 0) as weight
        from {{ ref('stg_birds') }}
        group by 1
    """,
    "models/birds_so_far.sql": """
        {{ config(materialized='incremental', unique_key='id', dist='all',
                  on_schema_change='append_new_columns') }}
        select id, name, {{ dbt.dateadd('month', 1, 'seen_on') }} as next_month from {{ ref('stg_birds') }}
    """,
    "models/birds_merged.sql": """
        {{ config(materialized='incremental', unique_key='id', incremental_strategy='merge', sort='id') }}
        select id, name, len(name) as letters from {{ ref('stg_birds') }}
    """,
    "models/heaviest_bird.sql": """
        {{ config(materialized='table', dist='even') }}
        select id, name from {{ ref('stg_birds') }}
        qualify row_number() over (order by weight desc nulls last) = 1
    """,
    "models/materialized_birds.sql": """
        {{ config(materialized='materialized_view', dist='id', sort=['id'], auto_refresh=false) }}
        select id, name from {{ ref('birds') }}
    """,
    "models/contracted_birds.sql": """
        {{ config(materialized='table', contract={'enforced': true}, dist='id') }}
        select id::bigint as id, name::varchar(100) as name from {{ ref('stg_birds') }}
    """,
    "models/schema.yml": """
        models:
          - name: stg_birds
            description: "One row per bird; it's 'quoted' -- and $dollars$"
            columns:
              - {name: id, description: "Its number", data_tests: [unique, not_null]}
              - name: name
                data_tests:
                  - accepted_values: {arguments: {values: ['owl, "barn"', wren, "it''s a kite"]}}
          - name: birds_so_far
            columns: [{name: id, data_tests: [unique, {relationships: {arguments: {to: ref('birds'), field: id}}}]}]
          - name: contracted_birds
            columns:
              - {name: id, data_type: bigint, constraints: [{type: not_null}]}
              - {name: name, data_type: varchar(100)}
    """,
    "snapshots/birds.yml": """
        snapshots:
          - name: bird_history
            relation: ref('stg_birds')
            config: {unique_key: id, strategy: check, check_cols: [name, weight]}
    """,
}


def write_project(
    folder: Path, *, port: int, schema: str, datasharing: bool, database: str, user: str, password: str
) -> None:
    """Write the project and its profile into `folder`."""
    for name, text in _FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"))
    (folder / "profiles.yml").write_text(
        dedent(f"""
            tiny:
              target: sandbox
              outputs:
                sandbox:
                  type: redshift
                  method: database
                  host: 127.0.0.1
                  port: {port}
                  user: {user}
                  password: {password}
                  dbname: {database}
                  schema: {schema}
                  sslmode: disable
                  threads: 4
                  datasharing: {str(datasharing).lower()}
        """)
    )
