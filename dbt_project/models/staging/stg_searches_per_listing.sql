with

source as (

    select * from {{ source('lake', 'pipeline_x') }}

),

renamed as (

    select
        cast(dt as date) as search_date,
        cast(city as varchar(100)) as city,
        cast(live_listings as bigint) as live_listings,
        cast(searches as bigint) as searches,
        cast(searchers as bigint) as searchers,
        cast(searches_per_listing as decimal(12, 3)) as searches_per_listing,
        cast(searches_per_listing_7_days as decimal(12, 3)) as searches_per_listing_7_days,
        cast(trend_percent as decimal(8, 1)) as trend_percent,
        cast(days_in_trend as integer) as days_in_trend
    from source

)

select * from renamed
