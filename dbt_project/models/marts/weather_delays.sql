{{ config(dist='all', sort=['weather_factor', 'weather_bucket']) }}

with

flights as (

    select * from {{ ref('stg_flights') }}

),

weather as (

    select * from {{ ref('stg_weather') }}

),

-- The weather at the origin in the hour of the scheduled departure; both hours are in UTC.
flights_with_weather as (

    select
        flights.departure_time_hhmm,
        flights.departure_delay_minutes,
        flights.arrival_delay_minutes,
        weather.visibility_miles,
        weather.wind_speed_mph,
        weather.precipitation_inches,
        weather.temperature_f
    from flights
    left join weather
        on
            flights.origin_airport_code = weather.airport_code
            and flights.scheduled_hour_at = weather.observed_at

),

bucketed as (

    select
        *,
        case
            when visibility_miles is null or wind_speed_mph is null or precipitation_inches is null then 'unknown'
            when visibility_miles >= 10 and wind_speed_mph < 15 and precipitation_inches = 0 then 'fair'
            else 'not fair'
        end as overall_bucket,
        case
            when visibility_miles is null then 'unknown'
            when visibility_miles < 1 then '1: under 1 mile'
            when visibility_miles < 3 then '2: 1 to 3 miles'
            when visibility_miles < 10 then '3: 3 to 10 miles'
            else '4: 10 miles or more'
        end as visibility_bucket,
        case
            when wind_speed_mph is null then 'unknown'
            when wind_speed_mph < 8 then '1: under 8 mph'
            when wind_speed_mph < 15 then '2: 8 to 15 mph'
            when wind_speed_mph < 25 then '3: 15 to 25 mph'
            else '4: 25 mph or more'
        end as wind_bucket,
        case
            when precipitation_inches is null then 'unknown'
            when precipitation_inches = 0 then '1: none'
            when precipitation_inches < 0.1 then '2: under 0.1 inch'
            when precipitation_inches < 0.3 then '3: 0.1 to 0.3 inch'
            else '4: 0.3 inch or more'
        end as precipitation_bucket,
        case
            when temperature_f is null then 'unknown'
            when temperature_f <= 32 then '1: freezing'
            when temperature_f < 86 then '2: 32 to 86 F'
            else '3: 86 F or more'
        end as temperature_bucket
    from flights_with_weather

),

-- Each flight counts once for each factor.
by_factor as (

    {%- for factor in ['overall', 'visibility', 'wind', 'precipitation', 'temperature'] %}

        select
            cast('{{ factor }}' as varchar(20)) as weather_factor,
            cast({{ factor }}_bucket as varchar(30)) as weather_bucket,
            departure_time_hhmm,
            departure_delay_minutes,
            arrival_delay_minutes
        from bucketed
        {%- if not loop.last %}

            union all
        {%- endif %}

    {%- endfor %}

),

counted as (

    select
        weather_factor,
        weather_bucket,
        {{ flight_counts() }}
    from by_factor
    group by weather_factor, weather_bucket

),

fair as (

    select * from counted
    where weather_factor = 'overall' and weather_bucket = 'fair'

),

compared as (

    select
        counted.weather_factor,
        counted.weather_bucket,
        counted.flights,
        counted.cancelled_flights,
        cast(cast(counted.cancelled_flights as double precision) / counted.flights as decimal(6, 4)) as share_cancelled,
        cast(counted.avg_departure_delay_minutes as decimal(8, 2)) as avg_departure_delay_minutes,
        cast(counted.avg_arrival_delay_minutes as decimal(8, 2)) as avg_arrival_delay_minutes,
        cast(counted.share_departed_late as decimal(6, 4)) as share_departed_late,
        cast(counted.share_arrived_late as decimal(6, 4)) as share_arrived_late,
        cast(counted.avg_departure_delay_minutes - fair.avg_departure_delay_minutes as decimal(8, 2))
            as departure_delay_above_fair_minutes,
        cast(counted.avg_arrival_delay_minutes - fair.avg_arrival_delay_minutes as decimal(8, 2))
            as arrival_delay_above_fair_minutes
    from counted
    left join fair on 1 = 1

)

select * from compared
