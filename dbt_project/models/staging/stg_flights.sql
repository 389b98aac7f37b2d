with

source as (

    select * from {{ source('lake', 'flights') }}

),

renamed as (

    select
        cast(dt as date) as flight_date,
        cast(scheduled_hour_at as timestamp) as scheduled_hour_at,
        cast(carrier as varchar(3)) as carrier_code,
        cast(flight_number as integer) as flight_number,
        cast(tail_number as varchar(10)) as tail_number,
        cast(origin as varchar(4)) as origin_airport_code,
        cast(destination as varchar(4)) as destination_airport_code,
        cast(scheduled_departure_hhmm as integer) as scheduled_departure_hhmm,
        cast(departure_time_hhmm as integer) as departure_time_hhmm,
        cast(departure_delay_minutes as integer) as departure_delay_minutes,
        cast(scheduled_arrival_hhmm as integer) as scheduled_arrival_hhmm,
        cast(arrival_time_hhmm as integer) as arrival_time_hhmm,
        cast(arrival_delay_minutes as integer) as arrival_delay_minutes,
        cast(air_time_minutes as integer) as air_time_minutes,
        cast(distance_miles as integer) as distance_miles
    from source

)

select * from renamed
