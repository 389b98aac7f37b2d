-- Date functions. Date parts arrive as quoted names in their long form: rules/date_parts.py sees to that.
create or replace function pg_catalog.getdate() returns timestamp language sql stable as $body$
    select date_trunc('second', transaction_timestamp() at time zone 'utc')
$body$;

create or replace function pg_catalog.sysdate() returns timestamp language sql stable as $body$
    select transaction_timestamp() at time zone 'utc'
$body$;

create or replace function redshift_compat.part_interval(part text, amount bigint)
returns interval language sql immutable strict as $body$
    select case part
        when 'millennium' then make_interval(years => (amount * 1000)::int)
        when 'century' then make_interval(years => (amount * 100)::int)
        when 'decade' then make_interval(years => (amount * 10)::int)
        when 'year' then make_interval(years => amount::int)
        when 'quarter' then make_interval(months => (amount * 3)::int)
        when 'month' then make_interval(months => amount::int)
        when 'week' then make_interval(weeks => amount::int)
        when 'day' then make_interval(days => amount::int)
        when 'dayofweek' then make_interval(days => amount::int)
        when 'dayofyear' then make_interval(days => amount::int)
        when 'hour' then interval '1 hour' * amount
        when 'minute' then interval '1 minute' * amount
        when 'second' then interval '1 second' * amount
        when 'epoch' then interval '1 second' * amount
        when 'millisecond' then interval '1 millisecond' * amount
        when 'microsecond' then interval '1 microsecond' * amount
    end
$body$;

create or replace function pg_catalog.dateadd(part text, amount bigint, moment timestamp)
returns timestamp language sql immutable strict as $body$
    select moment + redshift_compat.part_interval(part, amount)
$body$;
create or replace function pg_catalog.dateadd(part text, amount bigint, moment timestamptz)
returns timestamptz language sql stable strict as $body$
    select moment + redshift_compat.part_interval(part, amount)
$body$;
create or replace function pg_catalog.dateadd(part text, amount bigint, moment date)
returns timestamp language sql immutable strict as $body$
    select moment::timestamp + redshift_compat.part_interval(part, amount)
$body$;
create or replace function pg_catalog.dateadd(part text, amount bigint, moment time)
returns time language sql immutable strict as $body$
    select moment + redshift_compat.part_interval(part, amount)
$body$;
-- Redshift cuts a fraction of an amount off.
create or replace function pg_catalog.dateadd(part text, amount numeric, moment timestamp)
returns timestamp language sql immutable strict as $body$
    select moment + redshift_compat.part_interval(part, trunc(amount)::bigint)
$body$;
create or replace function pg_catalog.dateadd(part text, amount double precision, moment timestamp)
returns timestamp language sql immutable strict as $body$
    select moment + redshift_compat.part_interval(part, trunc(amount)::bigint)
$body$;

create or replace function pg_catalog.date_add(part text, amount bigint, moment timestamp)
returns timestamp language sql immutable strict as $body$ select pg_catalog.dateadd(part, amount, moment) $body$;
create or replace function pg_catalog.date_add(part text, amount bigint, moment timestamptz)
returns timestamptz language sql stable strict as $body$ select pg_catalog.dateadd(part, amount, moment) $body$;
create or replace function pg_catalog.date_add(part text, amount bigint, moment date)
returns timestamp language sql immutable strict as $body$ select pg_catalog.dateadd(part, amount, moment) $body$;

-- How many boundaries of the part lie between two moments; weeks begin on Sunday.
create or replace function pg_catalog.datediff(part text, earlier timestamp, later timestamp)
returns bigint language sql immutable strict as $body$
    select case part
        when 'millennium' then (floor((extract(year from later) - 1) / 1000) - floor((extract(year from earlier) - 1) / 1000))::bigint
        when 'century' then (floor((extract(year from later) - 1) / 100) - floor((extract(year from earlier) - 1) / 100))::bigint
        when 'decade' then (floor(extract(year from later) / 10) - floor(extract(year from earlier) / 10))::bigint
        when 'year' then (extract(year from later) - extract(year from earlier))::bigint
        when 'quarter' then ((extract(year from later) - extract(year from earlier)) * 4
            + extract(quarter from later) - extract(quarter from earlier))::bigint
        when 'month' then ((extract(year from later) - extract(year from earlier)) * 12
            + extract(month from later) - extract(month from earlier))::bigint
        when 'week' then (((later::date - extract(dow from later)::int) - (earlier::date - extract(dow from earlier)::int)) / 7)::bigint
        when 'day' then (later::date - earlier::date)::bigint
        when 'dayofweek' then (later::date - earlier::date)::bigint
        when 'dayofyear' then (later::date - earlier::date)::bigint
        when 'hour' then (extract(epoch from date_trunc('hour', later) - date_trunc('hour', earlier)) / 3600)::bigint
        when 'minute' then (extract(epoch from date_trunc('minute', later) - date_trunc('minute', earlier)) / 60)::bigint
        when 'second' then extract(epoch from date_trunc('second', later) - date_trunc('second', earlier))::bigint
        when 'epoch' then extract(epoch from date_trunc('second', later) - date_trunc('second', earlier))::bigint
        when 'millisecond' then (extract(epoch from date_trunc('milliseconds', later) - date_trunc('milliseconds', earlier)) * 1000)::bigint
        when 'microsecond' then (extract(epoch from later - earlier) * 1000000)::bigint
    end
$body$;
create or replace function pg_catalog.datediff(part text, earlier timestamptz, later timestamptz)
returns bigint language sql stable strict as $body$
    select pg_catalog.datediff(part, earlier at time zone 'utc', later at time zone 'utc')
$body$;
create or replace function pg_catalog.datediff(part text, earlier date, later date)
returns bigint language sql immutable strict as $body$
    select pg_catalog.datediff(part, earlier::timestamp, later::timestamp)
$body$;
create or replace function pg_catalog.datediff(part text, earlier time, later time)
returns bigint language sql immutable strict as $body$
    select pg_catalog.datediff(part, timestamp '2000-01-01' + earlier, timestamp '2000-01-01' + later)
$body$;
create or replace function pg_catalog.date_diff(part text, earlier timestamp, later timestamp)
returns bigint language sql immutable strict as $body$ select pg_catalog.datediff(part, earlier, later) $body$;
create or replace function pg_catalog.date_diff(part text, earlier timestamptz, later timestamptz)
returns bigint language sql stable strict as $body$ select pg_catalog.datediff(part, earlier, later) $body$;
create or replace function pg_catalog.date_diff(part text, earlier date, later date)
returns bigint language sql immutable strict as $body$ select pg_catalog.datediff(part, earlier, later) $body$;

-- PostgreSQL would turn the date into a moment with a time zone first.
create or replace function pg_catalog.date_trunc(part text, day date)
returns timestamp language sql immutable strict as $body$ select date_trunc(part, day::timestamp) $body$;

create or replace function pg_catalog.trunc(moment timestamp)
returns date language sql immutable strict as $body$ select moment::date $body$;
create or replace function pg_catalog.trunc(day date)
returns date language sql immutable strict as $body$ select day $body$;

create or replace function pg_catalog.last_day(moment timestamp)
returns date language sql immutable strict as $body$
    select (date_trunc('month', moment) + interval '1 month - 1 day')::date
$body$;
create or replace function pg_catalog.last_day(day date)
returns date language sql immutable strict as $body$ select pg_catalog.last_day(day::timestamp) $body$;

-- The last day of a month stays a last day.
create or replace function pg_catalog.add_months(moment timestamp, months integer)
returns timestamp language sql immutable strict as $body$
    select case when moment::date = pg_catalog.last_day(moment)
        then pg_catalog.last_day(date_trunc('month', moment) + make_interval(months => months)) + moment::time
        else moment + make_interval(months => months)
    end
$body$;
create or replace function pg_catalog.add_months(day date, months integer)
returns timestamp language sql immutable strict as $body$ select pg_catalog.add_months(day::timestamp, months) $body$;

create or replace function pg_catalog.months_between(later timestamp, earlier timestamp)
returns double precision language sql immutable strict as $body$
    select case
        when extract(day from later) = extract(day from earlier)
            or (later::date = pg_catalog.last_day(later) and earlier::date = pg_catalog.last_day(earlier))
        then pg_catalog.datediff('month', earlier, later)::double precision
        else pg_catalog.datediff('month', earlier, later)
            + (extract(epoch from later - date_trunc('month', later))
               - extract(epoch from earlier - date_trunc('month', earlier)))::double precision / (31 * 86400)
    end
$body$;
create or replace function pg_catalog.months_between(later date, earlier date)
returns double precision language sql immutable strict as $body$
    select pg_catalog.months_between(later::timestamp, earlier::timestamp)
$body$;

create or replace function pg_catalog.next_day(day date, name text)
returns date language sql immutable strict as $body$
    select day + coalesce(nullif((array_position(array['su', 'mo', 'tu', 'we', 'th', 'fr', 'sa'], lower(left(name, 2)))
        - 1 - extract(dow from day)::int + 7) % 7, 0), 7)
$body$;

create or replace function pg_catalog.convert_timezone(source text, target text, moment timestamp)
returns timestamp language sql immutable strict as $body$ select moment at time zone source at time zone target $body$;
create or replace function pg_catalog.convert_timezone(target text, moment timestamp)
returns timestamp language sql immutable strict as $body$ select moment at time zone 'utc' at time zone target $body$;
create or replace function pg_catalog.convert_timezone(target text, moment timestamptz)
returns timestamp language sql immutable strict as $body$ select moment at time zone target $body$;
