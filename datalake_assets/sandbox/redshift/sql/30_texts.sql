-- Text, JSON and number functions.
create or replace function pg_catalog.len(value text) returns integer language sql immutable strict as $body$
    select length(value)
$body$;

create or replace function pg_catalog.charindex(part text, whole text) returns integer language sql immutable strict
as $body$ select strpos(whole, part) $body$;

create or replace function pg_catalog.strtol(digits text, base integer) returns bigint language plpgsql immutable strict
as $body$
declare
    alphabet constant text := '0123456789abcdefghijklmnopqrstuvwxyz';
    text_left text := lower(trim(digits));
    negative boolean := false;
    result numeric := 0;
    place integer;
begin
    if base < 2 or base > 36 then
        raise exception using errcode = '22023', message = format('The base of STRTOL must be 2 to 36, not %s', base);
    end if;
    if left(text_left, 1) in ('-', '+') then
        negative := left(text_left, 1) = '-';
        text_left := substr(text_left, 2);
    end if;
    if base = 16 and left(text_left, 2) = '0x' then
        text_left := substr(text_left, 3);
    end if;
    for i in 1 .. length(text_left) loop
        place := strpos(left(alphabet, base), substr(text_left, i, 1));
        if place = 0 then
            raise exception using errcode = '22P02',
                message = format('The input %s is not valid to be converted to base %s', digits, base);
        end if;
        result := result * base + (place - 1);
    end loop;
    return (case when negative then -result else result end)::bigint;
end
$body$;

create or replace function pg_catalog.json_parse(value text) returns jsonb language sql immutable strict
as $body$ select value::jsonb $body$;

create or replace function pg_catalog.json_serialize(value jsonb) returns text language sql immutable strict
as $body$ select value::text $body$;

create or replace function pg_catalog.is_valid_json(value text) returns boolean language sql immutable strict
as $body$ select value is json object $body$;

create or replace function pg_catalog.is_valid_json_array(value text) returns boolean language sql immutable strict
as $body$ select value is json array $body$;

-- A path that leads nowhere is null; objects and arrays come back as their text.
create or replace function pg_catalog.json_extract_path_text(value text, variadic path text[])
returns text language sql immutable as $body$ select value::json #>> path $body$;
-- Not inlined: PostgreSQL would try the cast of a constant before it asks whether it is JSON.
create or replace function redshift_compat.json_path_or_null(value text, path text[], null_if_invalid boolean)
returns text language plpgsql immutable as $body$
begin
    if null_if_invalid and value is not json then
        return null;
    end if;
    return value::json #>> path;
end
$body$;
create or replace function pg_catalog.json_extract_path_text(value text, first text, null_if_invalid boolean)
returns text language sql immutable as $body$
    select redshift_compat.json_path_or_null(value, array[first], null_if_invalid)
$body$;
create or replace function pg_catalog.json_extract_path_text(value text, first text, second text, null_if_invalid boolean)
returns text language sql immutable as $body$
    select redshift_compat.json_path_or_null(value, array[first, second], null_if_invalid)
$body$;

create or replace function pg_catalog.json_extract_array_element_text(value text, place integer)
returns text language sql immutable strict as $body$ select value::json ->> place $body$;

create or replace function pg_catalog.json_array_length(value text)
returns integer language sql immutable strict as $body$ select json_array_length(value::json) $body$;

-- SUPER arrays.
create or replace function redshift_compat.array_of(variadic items anycompatiblearray)
returns jsonb language sql immutable as $body$ select to_jsonb(items) $body$;
create or replace function pg_catalog.array_concat(first jsonb, second jsonb)
returns jsonb language sql immutable strict as $body$ select first || second $body$;
create or replace function pg_catalog.get_array_length(value jsonb)
returns bigint language sql immutable strict as $body$ select jsonb_array_length(value)::bigint $body$;

create or replace function pg_catalog.strtol(digits text) returns bigint language sql immutable strict
as $body$ select pg_catalog.strtol(digits, 10) $body$;

create or replace function pg_catalog.sha2(value text, bits integer) returns text language sql immutable strict
as $body$
    select encode(case bits
        when 224 then sha224(convert_to(value, 'UTF8'))
        when 384 then sha384(convert_to(value, 'UTF8'))
        when 512 then sha512(convert_to(value, 'UTF8'))
        else sha256(convert_to(value, 'UTF8'))
    end, 'hex')
$body$;

create or replace function pg_catalog.dexp(value double precision) returns double precision
language sql immutable strict as $body$ select exp(value) $body$;
create or replace function pg_catalog.dlog1(value double precision) returns double precision
language sql immutable strict as $body$ select ln(value) $body$;
create or replace function pg_catalog.dlog10(value double precision) returns double precision
language sql immutable strict as $body$ select log(value) $body$;
-- PostgreSQL rounds and cuts doubles to whole numbers only.
create or replace function pg_catalog.round(value double precision, digits integer) returns double precision
language sql immutable strict as $body$ select round(value::numeric, digits)::double precision $body$;
create or replace function pg_catalog.trunc(value double precision, digits integer) returns double precision
language sql immutable strict as $body$ select trunc(value::numeric, digits)::double precision $body$;
