{{ config(dist='even', sort=['flight_date', 'carrier_code']) }}

with

flights as (

    select * from {{ ref('stg_flights') }}

),

airlines as (

    select * from {{ ref('stg_airlines') }}

),

airports as (

    select * from {{ ref('stg_airports') }}

),

counted as (

    select
        flight_date,
        carrier_code,
        origin_airport_code,
        {{ flight_counts() }}
    from flights
    group by flight_date, carrier_code, origin_airport_code

),

-- Redshift lets all percentiles of one statement share one order only, so each delay has a step of its own.
departure_percentiles as (

    select
        flight_date,
        carrier_code,
        origin_airport_code,
        percentile_cont(0.5) within group (order by departure_delay_minutes) as median_departure_delay_minutes,
        percentile_cont(0.9) within group (order by departure_delay_minutes) as p90_departure_delay_minutes
    from flights
    group by flight_date, carrier_code, origin_airport_code

),

arrival_percentiles as (

    select
        flight_date,
        carrier_code,
        origin_airport_code,
        percentile_cont(0.5) within group (order by arrival_delay_minutes) as median_arrival_delay_minutes,
        percentile_cont(0.9) within group (order by arrival_delay_minutes) as p90_arrival_delay_minutes
    from flights
    group by flight_date, carrier_code, origin_airport_code

),

named as (

    select
        counted.flight_date,
        counted.carrier_code,
        airlines.carrier_name,
        counted.origin_airport_code,
        airports.airport_name as origin_airport_name,
        counted.flights,
        counted.cancelled_flights,
        cast(counted.avg_departure_delay_minutes as decimal(8, 2)) as avg_departure_delay_minutes,
        cast(departure_percentiles.median_departure_delay_minutes as decimal(8, 2)) as median_departure_delay_minutes,
        cast(departure_percentiles.p90_departure_delay_minutes as decimal(8, 2)) as p90_departure_delay_minutes,
        cast(counted.share_departed_late as decimal(6, 4)) as share_departed_late,
        cast(counted.avg_arrival_delay_minutes as decimal(8, 2)) as avg_arrival_delay_minutes,
        cast(arrival_percentiles.median_arrival_delay_minutes as decimal(8, 2)) as median_arrival_delay_minutes,
        cast(arrival_percentiles.p90_arrival_delay_minutes as decimal(8, 2)) as p90_arrival_delay_minutes,
        cast(counted.share_arrived_late as decimal(6, 4)) as share_arrived_late
    from counted
    inner join departure_percentiles
        on
            counted.flight_date = departure_percentiles.flight_date
            and counted.carrier_code = departure_percentiles.carrier_code
            and counted.origin_airport_code = departure_percentiles.origin_airport_code
    inner join arrival_percentiles
        on
            counted.flight_date = arrival_percentiles.flight_date
            and counted.carrier_code = arrival_percentiles.carrier_code
            and counted.origin_airport_code = arrival_percentiles.origin_airport_code
    left join airlines on counted.carrier_code = airlines.carrier_code
    left join airports on counted.origin_airport_code = airports.airport_code

)

select * from named
