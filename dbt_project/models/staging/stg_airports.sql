with

source as (

    select * from {{ source('lake', 'airports') }}

),

renamed as (

    select
        cast(faa as varchar(4)) as airport_code,
        cast(name as varchar(100)) as airport_name,
        cast(latitude as double precision) as latitude,
        cast(longitude as double precision) as longitude,
        cast(altitude_feet as integer) as altitude_feet,
        cast(utc_offset_hours as double precision) as utc_offset_hours,
        cast(daylight_saving as varchar(1)) as daylight_saving_code,
        cast(time_zone as varchar(40)) as time_zone
    from source

)

select * from renamed
