-- Aggregates PostgreSQL does not have, and those that Redshift answers otherwise.
create or replace function redshift_compat.listagg_step(state text, item anyelement, delimiter text)
returns text language plpgsql immutable as $body$
begin
    if item is null then
        return state;
    end if;
    state := case when state is null then item::text else state || coalesce(delimiter, '') || item::text end;
    if octet_length(state) > 65535 then
        raise exception using errcode = '22001', message = 'Result size exceeds LISTAGG limit';
    end if;
    return state;
end
$body$;
do $do$ begin
    if to_regprocedure('pg_catalog.listagg(anyelement, text)') is null then
        create aggregate pg_catalog.listagg(anyelement, text) (
            sfunc = redshift_compat.listagg_step, stype = text
        );
    end if;
end $do$;

create or replace function redshift_compat.median_of(items numeric[]) returns numeric language sql immutable as $body$
    select percentile_cont(0.5) within group (order by item::double precision)::numeric from unnest(items) as item
$body$;
create or replace function redshift_compat.median_of(items double precision[])
returns double precision language sql immutable as $body$
    select percentile_cont(0.5) within group (order by item) from unnest(items) as item
$body$;
do $do$ begin
    if to_regprocedure('pg_catalog.median(numeric)') is null then
        create aggregate pg_catalog.median(numeric) (
            sfunc = pg_catalog.array_append, stype = numeric[], finalfunc = redshift_compat.median_of
        );
        create aggregate pg_catalog.median(double precision) (
            sfunc = pg_catalog.array_append, stype = double precision[], finalfunc = redshift_compat.median_of
        );
    end if;
end $do$;

-- AVG of integers is an integer on Redshift: cut off, not rounded.
create or replace function redshift_compat.average_of(state bigint[]) returns bigint language sql immutable as $body$
    select case when state[1] > 0 then state[2] / state[1] end
$body$;
create or replace function redshift_compat.average_of(state numeric[]) returns bigint language sql immutable as $body$
    select case when state[1] > 0 then trunc(state[2] / state[1])::bigint end
$body$;
create or replace function redshift_compat.average_step(state numeric[], item bigint)
returns numeric[] language sql immutable strict as $body$ select array[state[1] + 1, state[2] + item] $body$;
do $do$ begin
    if to_regprocedure('redshift_compat.avg(bigint)') is null then
        create aggregate redshift_compat.avg(smallint) (
            sfunc = pg_catalog.int2_avg_accum, stype = bigint[], initcond = '{0,0}',
            finalfunc = redshift_compat.average_of
        );
        create aggregate redshift_compat.avg(integer) (
            sfunc = pg_catalog.int4_avg_accum, stype = bigint[], initcond = '{0,0}',
            finalfunc = redshift_compat.average_of
        );
        create aggregate redshift_compat.avg(bigint) (
            sfunc = redshift_compat.average_step, stype = numeric[], initcond = '{0,0}',
            finalfunc = redshift_compat.average_of
        );
        create aggregate redshift_compat.avg(numeric) (
            sfunc = pg_catalog.numeric_avg_accum, stype = internal, finalfunc = pg_catalog.numeric_avg
        );
        create aggregate redshift_compat.avg(double precision) (
            sfunc = pg_catalog.float8_accum, stype = double precision[], initcond = '{0,0,0}',
            finalfunc = pg_catalog.float8_avg
        );
        create aggregate redshift_compat.avg(interval) (
            sfunc = pg_catalog.interval_avg_accum, stype = internal, finalfunc = pg_catalog.interval_avg
        );
    end if;
end $do$;
