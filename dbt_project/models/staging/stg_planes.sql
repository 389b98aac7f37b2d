with

source as (

    select * from {{ source('lake', 'planes') }}

),

renamed as (

    select
        cast(tail_number as varchar(10)) as tail_number,
        cast(year_built as integer) as year_built,
        cast(type as varchar(50)) as plane_type,
        cast(manufacturer as varchar(50)) as manufacturer,
        cast(model as varchar(50)) as model,
        cast(engines as integer) as engines,
        cast(seats as integer) as seats,
        cast(cruising_speed_mph as integer) as cruising_speed_mph,
        cast(engine as varchar(30)) as engine_type
    from source

)

select * from renamed
