{# What both marts count about a set of flights; Redshift has no FILTER, and its AVG keeps the
   scale of its argument, so that everything is averaged as double precision. #}

{% macro flight_counts() -%}
    count(*) as flights,
    sum(case when departure_time_hhmm is null then 1 else 0 end) as cancelled_flights,
    avg(cast(departure_delay_minutes as double precision)) as avg_departure_delay_minutes,
    avg(cast(arrival_delay_minutes as double precision)) as avg_arrival_delay_minutes,
    avg(
        case
            when departure_delay_minutes > {{ var('delayed_after_minutes', 15) }} then cast(1 as double precision)
            when departure_delay_minutes is not null then cast(0 as double precision)
        end
    ) as share_departed_late,
    avg(
        case
            when arrival_delay_minutes > {{ var('delayed_after_minutes', 15) }} then cast(1 as double precision)
            when arrival_delay_minutes is not null then cast(0 as double precision)
        end
    ) as share_arrived_late
{%- endmacro %}
