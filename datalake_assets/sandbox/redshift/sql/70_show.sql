-- What SHOW commands answer; show.py turns the commands into calls. Columns and their order are Redshift's.
create or replace function redshift_compat.check_database(name text) returns boolean language plpgsql stable as $body$
begin
    if name is not null and lower(name) <> lower(current_database()) then
        raise exception using errcode = '3D000', message = format('database "%s" does not exist or is another one', name),
            hint = 'The sandbox gateway answers for the connected database only.';
    end if;
    return true;
end
$body$;

create or replace function redshift_compat.show_databases(pattern text)
returns table (
    database_name varchar, database_owner integer, database_type varchar, database_acl varchar, parameters varchar,
    database_isolation_level varchar
) language sql stable as $body$
    select database_name, database_owner, database_type, database_acl, null::varchar, database_isolation_level
    from pg_catalog.svv_redshift_databases where database_name like pattern order by 1
$body$;

create or replace function redshift_compat.show_schemas(database text, pattern text)
returns table (
    database_name varchar, schema_name varchar, schema_owner varchar, schema_type varchar, schema_acl varchar,
    source_database varchar, schema_option varchar
) language sql stable as $body$
    select s.database_name, s.schema_name, pg_get_userbyid(s.schema_owner::oid)::varchar, s.schema_type, s.schema_acl,
        null::varchar, s.schema_option
    from pg_catalog.svv_redshift_schemas s
    where redshift_compat.check_database(database) and s.schema_name ilike pattern
    order by s.schema_name
$body$;

create or replace function redshift_compat.show_tables(database text, schema text, pattern text)
returns table (
    database_name varchar, schema_name varchar, table_name varchar, table_type varchar, table_acl varchar,
    remarks varchar, owner varchar, last_altered_time timestamp, last_modified_time timestamp, dist_style varchar,
    table_subtype varchar
) language sql stable as $body$
    select r.database_name, r.schema_name, r.table_name, r.table_type, r.relacl::varchar, r.remarks, r.owner,
        null::timestamp, null::timestamp, null::varchar, r.table_subtype
    from redshift_compat.relations r
    where redshift_compat.check_database(database) and lower(r.schema_name) = lower(schema)
        and r.table_name ilike pattern
    order by r.table_name
$body$;

create or replace function redshift_compat.show_columns(database text, schema text, relation text, pattern text)
returns table (
    database_name varchar, schema_name varchar, table_name varchar, column_name varchar, ordinal_position integer,
    column_default varchar, is_nullable varchar, data_type varchar, character_maximum_length integer,
    numeric_precision integer, numeric_scale integer, remarks varchar, sort_key_type varchar, sort_key integer,
    dist_key integer, encoding varchar, collation_name varchar
) language plpgsql stable as $body$
begin
    perform redshift_compat.check_database(database);
    if not exists (
        select 1 from redshift_compat.relations r
        where lower(r.schema_name) = lower(coalesce(schema, current_schema())) and lower(r.table_name) = lower(relation)
    ) then
        raise exception using errcode = '42P01', message = format('relation "%s" does not exist', relation);
    end if;
    return query
        select c.database_name, c.schema_name, c.table_name, c.column_name, c.ordinal_position, c.column_default,
            c.is_nullable, c.data_type, c.character_maximum_length, c.numeric_precision, c.numeric_scale, c.remarks,
            null::varchar, 0, 0, null::varchar, null::varchar
        from redshift_compat.columns c
        where lower(c.schema_name) = lower(coalesce(schema, current_schema()))
            and lower(c.table_name) = lower(relation) and c.column_name ilike pattern
        order by c.ordinal_position;
end
$body$;

create or replace function redshift_compat.show_grants(database text, schema text, relation text)
returns table (
    database_name varchar, schema_name varchar, object_name varchar, object_type varchar, privilege_type varchar,
    identity_id integer, identity_name varchar, identity_type varchar, admin_option boolean, privilege_scope varchar,
    grantor_name varchar
) language sql stable as $body$
    select p.database_name, p.schema_name, p.table_name, 'TABLE'::varchar, p.privilege_type, 0,
        case p.identity_type when 'group' then '/' || p.identity_name else p.identity_name end::varchar,
        case p.identity_type when 'group' then 'role' else p.identity_type end::varchar,
        p.is_grantable, 'TABLE'::varchar, p.grantor_name
    from redshift_compat.privileges p
    where redshift_compat.check_database(database)
        and lower(p.schema_name) = lower(coalesce(schema, current_schema())) and lower(p.table_name) = lower(relation)
    order by p.identity_name, p.privilege_type
$body$;

create or replace function redshift_compat.show_schema_grants(database text, schema text)
returns table (
    database_name varchar, schema_name varchar, object_name varchar, object_type varchar, privilege_type varchar,
    identity_id integer, identity_name varchar, identity_type varchar, admin_option boolean, privilege_scope varchar,
    grantor_name varchar
) language sql stable as $body$
    select current_database()::varchar, n.nspname::varchar, n.nspname::varchar, 'SCHEMA'::varchar,
        a.privilege_type::varchar, 0, coalesce(g.rolname, 'public')::varchar,
        case when g.rolname is null then 'public' when g.rolcanlogin then 'user' else 'role' end::varchar,
        a.is_grantable, 'SCHEMA'::varchar, pg_get_userbyid(a.grantor)::varchar
    from pg_namespace n cross join lateral aclexplode(n.nspacl) a left join pg_roles g on g.oid = a.grantee
    where redshift_compat.check_database(database) and lower(n.nspname) = lower(schema)
    order by 7, 5
$body$;

create or replace function redshift_compat.analyze_compression(relation text)
returns table ("Table" varchar, "Column" varchar, "Encoding" varchar, "Est_reduction_pct" numeric)
language sql stable as $body$
    select c.relname::varchar, a.attname::varchar, 'raw'::varchar, 0.00
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.oid = relation::regclass order by a.attnum
$body$;
