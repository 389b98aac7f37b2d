-- On Redshift a materialized view is a view whose definition starts with CREATE MATERIALIZED VIEW. Clients look for it
-- in pg_views and information_schema.views, so both list it here too, after PostgreSQL's own definition.
do $do$
declare
    own text;
begin
    own := pg_get_viewdef('pg_catalog.pg_views'::regclass);
    if own not like '%pg_matviews%' then
        execute format('create or replace view pg_catalog.pg_views as %s union all
            select schemaname, matviewname, matviewowner,
                (''create materialized view '' || quote_ident(matviewname) || '' as ('' || rtrim(definition, '';'') || '');'')
                    collate "default"
            from pg_catalog.pg_matviews', rtrim(own, ';'));
    end if;
    own := pg_get_viewdef('information_schema.views'::regclass);
    if own not like '%pg_matviews%' then
        execute format('create or replace view information_schema.views as %s union all
            select current_database()::information_schema.sql_identifier, schemaname::information_schema.sql_identifier,
                matviewname::information_schema.sql_identifier,
                (''create materialized view '' || quote_ident(matviewname) || '' as ('' || rtrim(definition, '';'') || '');'')
                    ::information_schema.character_data,
                ''NONE''::information_schema.character_data, ''NO''::information_schema.yes_or_no,
                ''NO''::information_schema.yes_or_no, ''NO''::information_schema.yes_or_no,
                ''NO''::information_schema.yes_or_no, ''NO''::information_schema.yes_or_no
            from pg_catalog.pg_matviews', rtrim(own, ';'));
    end if;
end $do$;
