-- What the gateway remembers, and what it overrides: readable by everybody, written by functions only.
create schema if not exists redshift_compat;
grant usage on schema redshift_compat to public;

create table if not exists redshift_compat.installed (version text not null, installed_at timestamptz default now());

create table if not exists redshift_compat.load_errors (
    query bigint not null,
    pid integer not null,
    user_name text not null,
    table_name text not null,
    file_name text not null,
    rows_before bigint not null,
    error_code text not null,
    error_message text not null,
    recorded_at timestamp not null
);

create table if not exists redshift_compat.loads (
    query bigint not null,
    pid integer not null,
    user_name text not null,
    table_name text not null,
    source text not null,
    query_text text not null,
    loaded_rows bigint not null,
    loaded_files bigint not null,
    seconds double precision not null,
    recorded_at timestamp not null
);

create or replace function redshift_compat.record_load_error(
    query bigint, pid integer, table_name text, file_name text, rows_before bigint, error_code text, error_message text
) returns void language sql volatile security definer set search_path = pg_catalog as $body$
    insert into redshift_compat.load_errors
    values ($1, $2, session_user, $3, $4, $5, $6, $7, clock_timestamp() at time zone 'utc')
$body$;

create or replace function redshift_compat.record_load(
    query bigint, pid integer, table_name text, source text, query_text text, loaded_rows bigint, loaded_files bigint,
    seconds double precision
) returns void language sql volatile security definer set search_path = pg_catalog as $body$
    insert into redshift_compat.loads
    values ($1, $2, session_user, $3, $4, $5, $6, $7, $8, clock_timestamp() at time zone 'utc')
$body$;

create or replace function pg_catalog.pg_last_copy_count() returns bigint language sql stable as $body$
    select coalesce(nullif(current_setting('redshift.last_copy_count', true), ''), '0')::bigint
$body$;

create or replace function pg_catalog.pg_last_copy_id() returns bigint language sql stable as $body$
    select coalesce(nullif(current_setting('redshift.last_copy_id', true), ''), '-1')::bigint
$body$;
