{{ config(dist='even', sort=['search_date', 'demand_rank']) }}

with

searches_per_listing as (

    select * from {{ ref('stg_searches_per_listing') }}

),

ranked as (

    select
        search_date,
        city,
        live_listings,
        searches,
        searchers,
        searches_per_listing,
        searches_per_listing_7_days,
        trend_percent,
        days_in_trend,
        cast(rank() over (
            partition by search_date
            order by searches_per_listing desc
        ) as integer) as demand_rank,
        cast(
            cast(searches as double precision) / nullif(sum(searches) over (partition by search_date), 0)
            as decimal(6, 4)
        ) as share_of_searches
    from searches_per_listing

)

select * from ranked
