-- Functions that exist in PostgreSQL and mean something else; rules/renamed_functions.py leads calls here.

-- `$1` of Redshift is `\1` here. No backslash may stand in these bodies: sessions of the gateway read it as an escape.
create or replace function redshift_compat.group_references(replacement text)
returns text language sql immutable strict as $body$
    select pg_catalog.regexp_replace(replacement, '[$]([0-9])', repeat(chr(92), 3) || '1', 'g')
$body$;

-- Redshift replaces every match.
create or replace function redshift_compat.regexp_replace(value text, pattern text)
returns text language sql immutable strict as $body$
    select pg_catalog.regexp_replace(value, pattern, '', 'g')
$body$;
create or replace function redshift_compat.regexp_replace(value text, pattern text, replacement text)
returns text language sql immutable strict as $body$
    select pg_catalog.regexp_replace(value, pattern, redshift_compat.group_references(replacement), 'g')
$body$;
create or replace function redshift_compat.regexp_replace(value text, pattern text, replacement text, start integer)
returns text language sql immutable strict as $body$
    select left(value, start - 1) || redshift_compat.regexp_replace(substr(value, start), pattern, replacement)
$body$;
create or replace function redshift_compat.regexp_replace(
    value text, pattern text, replacement text, start integer, flags text
) returns text language sql immutable strict as $body$
    select left(value, start - 1) || pg_catalog.regexp_replace(
        substr(value, start), pattern, replacement, 'g' || case when strpos(flags, 'i') > 0 then 'i' else '' end
    )
$body$;

-- No match is an empty text, not null.
create or replace function redshift_compat.regexp_substr(
    value text, pattern text, start integer default 1, occurrence integer default 1, flags text default ''
) returns text language sql immutable strict as $body$
    select coalesce(pg_catalog.regexp_substr(
        value, pattern, start, occurrence, translate(flags, 'ep', ''), case when strpos(flags, 'e') > 0 then 1 else 0 end
    ), '')
$body$;

create or replace function redshift_compat.version() returns text language sql immutable as $body$
    select 'PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2 20041017 (Red Hat 3.4.2-6.fc3), Redshift 1.0.100000'
$body$;
