with

source as (

    select * from {{ source('lake', 'weather') }}

),

renamed as (

    select
        cast(dt as date) as observation_date,
        cast(observed_at as timestamp) as observed_at,
        cast(origin as varchar(4)) as airport_code,
        cast(temperature_f as double precision) as temperature_f,
        cast(dew_point_f as double precision) as dew_point_f,
        cast(humidity_percent as double precision) as humidity_percent,
        cast(wind_direction_degrees as integer) as wind_direction_degrees,
        cast(wind_speed_mph as double precision) as wind_speed_mph,
        cast(wind_gust_mph as double precision) as wind_gust_mph,
        cast(precipitation_inches as double precision) as precipitation_inches,
        cast(pressure_millibars as double precision) as pressure_millibars,
        cast(visibility_miles as double precision) as visibility_miles
    from source

)

select * from renamed
