-- System views, with the columns and names Redshift gives them; storage figures that mean nothing here are null or 0.
create or replace view redshift_compat.relations as
    select
        c.oid as table_id,
        current_database()::varchar as database_name,
        n.nspname::varchar as schema_name,
        c.relname::varchar as table_name,
        c.relkind,
        c.reltuples,
        case when c.relkind in ('r', 'p', 'f') then 'TABLE' else 'VIEW' end::varchar as table_type,
        case c.relkind
            when 'm' then 'MATERIALIZED VIEW' when 'v' then 'REGULAR VIEW' else 'REGULAR TABLE'
        end::varchar as table_subtype,
        c.relacl,
        obj_description(c.oid, 'pg_class')::varchar as remarks,
        pg_get_userbyid(c.relowner)::varchar as owner
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f')
        and n.nspname not in ('pg_catalog', 'information_schema', 'redshift_compat')
        and n.nspname !~ '^pg_(toast|temp)';

create or replace view redshift_compat.columns as
    select
        r.database_name,
        r.schema_name,
        r.table_name,
        r.table_type,
        a.attname::varchar as column_name,
        row_number() over (partition by r.table_id order by a.attnum)::integer as ordinal_position,
        pg_get_expr(d.adbin, d.adrelid)::varchar as column_default,
        case when a.attnotnull then 'NO' else 'YES' end::varchar as is_nullable,
        case a.atttypid when 'jsonb'::regtype then 'super' when 'bytea'::regtype then 'varbyte'
            when 'text'::regtype then 'character varying' else format_type(a.atttypid, null) end::varchar as data_type,
        case when a.atttypid in ('varchar'::regtype, 'bpchar'::regtype) and a.atttypmod > 4 then a.atttypmod - 4
        end::integer as character_maximum_length,
        case a.atttypid when 'int2'::regtype then 16 when 'int4'::regtype then 32 when 'int8'::regtype then 64
            when 'numeric'::regtype then case when a.atttypmod > 4 then ((a.atttypmod - 4) >> 16) & 65535 end
        end::integer as numeric_precision,
        case when a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) then 0
            when a.atttypid = 'numeric'::regtype and a.atttypmod > 4 then (a.atttypmod - 4) & 2047
        end::integer as numeric_scale,
        col_description(r.table_id, a.attnum)::varchar as remarks
    from redshift_compat.relations r
    join pg_attribute a on a.attrelid = r.table_id and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum;

create or replace view pg_catalog.svv_redshift_databases as
    select datname::varchar as database_name, datdba::integer as database_owner, 'local'::varchar as database_type,
        null::varchar as database_acl, null::varchar as database_options,
        'Snapshot Isolation'::varchar as database_isolation_level
    from pg_database where not datistemplate;

create or replace view pg_catalog.svv_redshift_schemas as
    select current_database()::varchar as database_name, nspname::varchar as schema_name,
        nspowner::integer as schema_owner, 'local'::varchar as schema_type, null::varchar as schema_acl,
        null::varchar as schema_option
    from pg_namespace where nspname <> 'redshift_compat' and nspname !~ '^pg_(toast|temp)';

create or replace view pg_catalog.svv_all_schemas as
    select database_name, schema_name, schema_owner, schema_type, schema_acl, null::varchar as source_database,
        schema_option
    from pg_catalog.svv_redshift_schemas;

create or replace view pg_catalog.svv_redshift_tables as
    select database_name, schema_name, table_name, table_type, relacl::varchar as table_acl, remarks, owner as table_owner
    from redshift_compat.relations;

create or replace view pg_catalog.svv_all_tables as
    select database_name, schema_name, table_name, table_acl, table_type, remarks from pg_catalog.svv_redshift_tables;

create or replace view pg_catalog.svv_tables as
    select database_name as table_catalog, schema_name as table_schema, table_name,
        case when relkind = 'v' or relkind = 'm' then 'VIEW' else 'BASE TABLE' end::varchar as table_type, remarks
    from redshift_compat.relations;

create or replace view pg_catalog.svv_redshift_columns as
    select database_name, schema_name, table_name, column_name, ordinal_position, data_type, column_default,
        is_nullable, null::varchar as encoding, false as distkey, 0 as sortkey, null::varchar as column_acl, remarks
    from redshift_compat.columns;

create or replace view pg_catalog.svv_all_columns as
    select database_name, schema_name, table_name, column_name, ordinal_position, column_default, is_nullable,
        data_type, character_maximum_length, numeric_precision, numeric_scale, remarks
    from redshift_compat.columns;

create or replace view pg_catalog.svv_columns as
    select database_name as table_catalog, schema_name as table_schema, table_name, column_name, ordinal_position,
        column_default, is_nullable, data_type, character_maximum_length, numeric_precision, numeric_scale, remarks
    from redshift_compat.columns;

create or replace view pg_catalog.svv_table_info as
    select
        r.database_name as database,
        r.schema_name as schema,
        r.table_id::integer as table_id,
        r.table_name as "table",
        'N'::varchar as encoded,
        case r.relkind when 'm' then 'EVEN' else 'AUTO(ALL)' end::varchar as diststyle,
        null::varchar as sortkey1,
        coalesce((
            select max(k.character_maximum_length) from redshift_compat.columns k
            where k.schema_name = r.schema_name and k.table_name = r.table_name
        ), 0) as max_varchar,
        null::varchar as sortkey1_enc,
        0 as sortkey_num,
        ceil(pg_total_relation_size(r.table_id) / 1048576.0)::bigint as size,
        0.0::numeric(10, 4) as pct_used,
        0::bigint as empty,
        null::numeric(5, 2) as unsorted,
        0.0::numeric(5, 2) as stats_off,
        greatest(r.reltuples, 0)::numeric(38, 0) as tbl_rows,
        null::numeric(19, 2) as skew_sortkey1,
        null::numeric(19, 2) as skew_rows,
        greatest(r.reltuples, 0)::numeric(38, 0) as estimated_visible_rows,
        null::varchar as risk_event,
        null::numeric(12, 2) as vacuum_sort_benefit,
        null::timestamp as create_time
    from redshift_compat.relations r
    where r.relkind in ('r', 'p', 'm');

create or replace view pg_catalog.svv_external_schemas as
    select n.oid::integer as esoid, 0 as eskind, n.nspname::varchar as schemaname, n.nspowner::integer as esowner,
        ''::varchar as databasename, ''::varchar as esoptions
    from pg_namespace n where false;
create or replace view pg_catalog.svv_external_databases as
    select 0 as eskind, ''::varchar as databasename, ''::varchar as location, ''::varchar as parameters where false;
create or replace view pg_catalog.svv_external_tables as
    select ''::varchar as redshift_database_name, ''::varchar as schemaname, ''::varchar as tablename,
        ''::varchar as tabletype, ''::varchar as location, ''::varchar as input_format, ''::varchar as output_format,
        ''::varchar as serialization_lib, ''::varchar as serde_parameters, 0 as compressed, ''::varchar as parameters
    where false;
create or replace view pg_catalog.svv_external_columns as
    select ''::varchar as redshift_database_name, ''::varchar as schemaname, ''::varchar as tablename,
        ''::varchar as columnname, ''::varchar as external_type, 0 as columnnum, 0 as part_key, ''::varchar as is_nullable
    where false;
create or replace view pg_catalog.svv_external_partitions as
    select ''::varchar as schemaname, ''::varchar as tablename, ''::varchar as values, ''::varchar as location where false;

create or replace view pg_catalog.svv_mv_info as
    select current_database()::varchar as database_name, schemaname::varchar as schema_name,
        matviewowner::varchar as user_name, matviewname::varchar as name, 'f'::char(1) as is_stale, 1 as state,
        'f'::char(1) as autorewrite, 'f'::char(1) as autorefresh
    from pg_matviews;
create or replace view pg_catalog.stv_mv_info as
    select current_database()::char(128) as db_name, schemaname::char(128) as schema, matviewname::char(128) as name,
        0::bigint as updated_upto_xid, 'f'::char(1) as is_stale, matviewowner::char(128) as owner_user_name, 1 as state,
        'f'::char(1) as autorewrite, 'f'::char(1) as autorefresh
    from pg_matviews;

create or replace function pg_catalog.pg_get_late_binding_view_cols()
returns setof record language sql stable as $body$
    select ''::name, ''::name, ''::name, ''::varchar, 0 where false
$body$;

create or replace view redshift_compat.privileges as
    select
        r.database_name, r.schema_name, r.table_name, r.table_id,
        case when a.grantee = 0 then 'public' else g.rolname end::varchar as identity_name,
        case when a.grantee = 0 then 'public' when not g.rolcanlogin then 'group' else 'user' end::varchar as identity_type,
        a.privilege_type::varchar, a.is_grantable, pg_get_userbyid(a.grantor)::varchar as grantor_name
    from redshift_compat.relations r
    cross join lateral aclexplode(r.relacl) a
    left join pg_roles g on g.oid = a.grantee
    where a.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'REFERENCES', 'TRUNCATE', 'TRIGGER');

create or replace view pg_catalog.svv_relation_privileges as
    select schema_name as namespace_name, table_name as relation_name, privilege_type, 0 as identity_id, identity_name,
        identity_type, is_grantable as admin_option
    from redshift_compat.privileges;

-- Sessions and statements.
create or replace view pg_catalog.stv_sessions as
    select backend_start at time zone 'utc' as starttime, pid as process, usename::char(50) as user_name,
        datname::char(50) as db_name, 0 as timeout_sec
    from pg_stat_activity where datname is not null;
create or replace view pg_catalog.stv_recents as
    select usesysid::integer as userid, case when state = 'active' then 'Running' else 'Done' end::char(20) as status,
        query_start at time zone 'utc' as starttime,
        (extract(epoch from clock_timestamp() - query_start) * 1000000)::integer as duration,
        usename::char(50) as user_name, datname::char(50) as db_name, query::char(600) as query, pid
    from pg_stat_activity where datname is not null;
create or replace view pg_catalog.stv_locks as
    select l.relation::integer as table_id, a.query_start at time zone 'utc' as last_update, l.pid as lock_owner_pid,
        l.mode::char(22) as lock_status
    from pg_locks l left join pg_stat_activity a on a.pid = l.pid where l.relation is not null;

-- Load history: written beside the client's transaction, so that it outlives a rollback.
create or replace view pg_catalog.stl_load_errors as
    select 0 as userid, 0 as slice, coalesce(to_regclass(e.table_name)::oid::integer, 0) as tbl,
        e.recorded_at as starttime, e.pid as session, e.query, e.file_name::char(256) as filename,
        e.rows_before as line_number, null::char(127) as colname, null::char(10) as type, null::char(10) as col_length,
        0 as position, ''::char(1024) as raw_line, ''::char(1024) as raw_field_value, 1207 as err_code,
        e.error_message::varchar(1024) as err_reason, 0 as is_partial, 0 as start_offset, 0::bigint as copy_job_id
    from redshift_compat.load_errors e where e.user_name = session_user or pg_has_role(session_user, 'pg_read_all_stats', 'member');
create or replace view pg_catalog.sys_load_error_detail as
    select 0 as user_id, e.query as query_id, coalesce(to_regclass(e.table_name)::oid::integer, 0) as table_id,
        e.recorded_at as start_time, e.pid as session_id, 0::bigint as transaction_id,
        current_database()::varchar as database_name, e.table_name::varchar as table_name, e.file_name::varchar as file_name,
        e.rows_before as line_number, null::varchar as column_name, null::varchar as column_type,
        null::varchar as column_length, 0 as position, 1207 as error_code, e.error_message::varchar as error_message
    from redshift_compat.load_errors e where e.user_name = session_user or pg_has_role(session_user, 'pg_read_all_stats', 'member');
create or replace view pg_catalog.stl_load_commits as
    select 0 as userid, l.query, 0 as slice, l.source::char(256) as name, l.source::char(256) as filename, 0 as byte_offset,
        l.loaded_rows as lines_scanned, 0 as errors, l.recorded_at as curtime, 1::smallint as status
    from redshift_compat.loads l where l.user_name = session_user or pg_has_role(session_user, 'pg_read_all_stats', 'member');
create or replace view pg_catalog.sys_load_history as
    select 0 as user_id, l.query as query_id, l.query_text::varchar as query_text, 'completed'::varchar as status,
        l.recorded_at - make_interval(secs => l.seconds) as start_time, l.recorded_at as end_time,
        (l.seconds * 1000000)::bigint as duration, l.source::varchar as data_source, 'PARQUET'::varchar as file_format,
        l.loaded_rows, 0::bigint as loaded_bytes, l.loaded_files as source_file_count, 0 as error_count,
        current_database()::varchar as database_name, l.table_name::varchar as table_name
    from redshift_compat.loads l where l.user_name = session_user or pg_has_role(session_user, 'pg_read_all_stats', 'member');

-- dbt asks when a table was last written; only loads are known here.
create or replace view pg_catalog.sys_query_detail as
    select l.query as query_id, coalesce(to_regclass(l.table_name)::oid::integer, 0) as table_id,
        'insert'::varchar as step_name, l.recorded_at as start_time, l.recorded_at as end_time, l.loaded_rows as output_rows
    from redshift_compat.loads l;

do $do$
declare
    name text;
begin
    foreach name in array array[
        'svv_redshift_databases', 'svv_redshift_schemas', 'svv_all_schemas', 'svv_redshift_tables', 'svv_all_tables',
        'svv_tables', 'svv_redshift_columns', 'svv_all_columns', 'svv_columns', 'svv_table_info',
        'svv_external_schemas', 'svv_external_databases', 'svv_external_tables', 'svv_external_columns',
        'svv_external_partitions', 'svv_mv_info', 'stv_mv_info', 'svv_relation_privileges', 'stv_sessions',
        'stv_recents', 'stv_locks', 'stl_load_errors', 'sys_load_error_detail', 'stl_load_commits',
        'sys_load_history', 'sys_query_detail'
    ] loop
        execute format('grant select on pg_catalog.%I to public', name);
    end loop;
end $do$;
grant select on redshift_compat.relations, redshift_compat.columns, redshift_compat.privileges to public;
