with

source as (

    select * from {{ source('lake', 'airlines') }}

),

renamed as (

    select
        cast(carrier as varchar(3)) as carrier_code,
        cast(name as varchar(100)) as carrier_name
    from source

)

select * from renamed
