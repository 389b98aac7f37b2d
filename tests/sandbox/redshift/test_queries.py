"""Redshift's SQL, sent by the real driver: what it answers here."""

import datetime as dt
from decimal import Decimal

import pytest
import redshift_connector

from datalake_assets.sandbox.redshift.bootstrap import install

from .conftest import ADMIN, ADMIN_PASSWORD, DATABASE, LOADER

_EXPRESSIONS = [
    ("dateadd(month, 1, '2013-01-31'::date)", dt.datetime(2013, 2, 28)),
    ("dateadd(d, -1, '2013-03-01 10:00'::timestamp)", dt.datetime(2013, 2, 28, 10)),
    ("dateadd('hour', 36, '2013-01-01'::timestamp)", dt.datetime(2013, 1, 2, 12)),
    ("dateadd(qtr, 1, '2013-01-01')", dt.datetime(2013, 4, 1)),
    ("date_add('day', 1, '2013-01-01'::date)", dt.datetime(2013, 1, 2)),
    ("datediff(day, '2013-01-01', '2013-03-01')", 59),
    ("datediff(week, '2013-01-05'::date, '2013-01-06'::date)", 1),
    ("datediff(year, '2012-12-31'::date, '2013-01-01'::date)", 1),
    ("datediff(hour, '2013-01-01 00:59'::timestamp, '2013-01-01 01:00'::timestamp)", 1),
    ("datediff(mins, '2013-01-01 00:00'::timestamp, '2013-01-01 00:01:59'::timestamp)", 1),
    ("date_diff('month', '2013-01-31'::date, '2013-02-01'::date)", 1),
    ("date_part(dow, '2013-01-06'::date)", 0.0),
    ("date_part(w, '2013-01-06'::date)", 1.0),
    ("date_trunc('month', '2013-02-03'::date)", dt.datetime(2013, 2, 1)),
    ("extract(year from '2013-02-03'::date) / 2", 1006),
    ("trunc('2013-02-03 10:11'::timestamp)", dt.date(2013, 2, 3)),
    ("last_day('2012-02-03'::date)", dt.date(2012, 2, 29)),
    ("add_months('2013-02-28'::date, 1)", dt.datetime(2013, 3, 31)),
    ("months_between('2013-03-31'::date, '2013-01-31'::date)", 2.0),
    ("next_day('2014-08-20'::date, 'Tuesday')", dt.date(2014, 8, 26)),
    ("convert_timezone('Europe/Berlin', '2013-07-01 12:00'::timestamp)", dt.datetime(2013, 7, 1, 14)),
    ("convert_timezone('America/New_York', 'UTC', '2013-01-01 12:00')", dt.datetime(2013, 1, 1, 17)),
    ("to_char('2013-02-03'::date, 'YYYY-MM')", "2013-02"),
    ("to_date('03.02.2013', 'DD.MM.YYYY')", dt.date(2013, 2, 3)),
    ("nvl(null, 2)", 2),
    ("nvl(null, null, 'x')", "x"),
    ("nvl2(null, 'set', nvl2('a', 'b', 'c'))", "b"),
    ("isnull(null, 5)", 5),
    ("decode(2, 1, 'one', 2, 'two', 'other')", "two"),
    ("decode(null, null, 'nothing', 'something')", "nothing"),
    ("decode(3, 1, decode(1, 1, 'a'), 3, decode(9, 1, 'x', last_day('2013-01-01'::date)::varchar))", "2013-01-31"),
    ("len('löwe')", 4),
    ("charindex('b', 'abc')", 2),
    ("strtol('ff', 16)", 255),
    ("strtol('-101', 2)", -5),
    ("regexp_substr('the fox', '[a-z]o[a-z]')", "fox"),
    ("regexp_substr('the fox', 'q+')", ""),
    ("regexp_replace('a-b-c', '-', '+')", "a+b+c"),
    ("regexp_replace('john smith', '([a-z]+) ([a-z]+)', '$2 $1')", "smith john"),
    ("regexp_count('a-b-c', '-')", 2),
    (r"'a\\b' || 'it\'s'", "a\\bit's"),
    ("json_extract_path_text('{\"a\": {\"b\": \"c\"}}', 'a', 'b')", "c"),
    ("json_extract_path_text('not json', 'a', true)", None),
    ("json_extract_array_element_text('[10, 20]', 1)", "20"),
    ("json_parse('{\"a\": 1}')", '{"a": 1}'),
    ("json_array_length('[1,2,3]')", 3),
    ("is_valid_json('{')", False),
    ("round(1.255::double precision, 1)", 1.3),
    ("sha2('x', 256)", "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"),
    ("position('c' in 'abc')", 3),
    ("split_part('a|b', '|', 2)", "b"),
    ("cast('12.5' as decimal(10, 2))", Decimal("12.50")),
    ("'super, distkey(a) -- no comment'", "super, distkey(a) -- no comment"),
]  # fmt: skip


@pytest.fixture(scope="module")
def shared_cursor(gateway):
    connection = redshift_connector.connect(
        host="127.0.0.1", port=gateway.port, database="warehouse", user="loader", password="loader-secret", ssl=False
    )
    connection.autocommit = True
    yield connection.cursor()
    connection.close()


@pytest.mark.parametrize(("expression", "expected"), _EXPRESSIONS, ids=[text for text, _ in _EXPRESSIONS])
def test_an_expression_has_redshifts_value(shared_cursor, expression, expected):
    shared_cursor.execute(f"select {expression}")
    (value,) = shared_cursor.fetchone()
    assert value == expected
    assert type(value) is type(expected)


_QUERIES = [
    ("select listagg(x, ', ') within group (order by x desc) from (values ('a'), ('b'), (null)) v(x)", [["b, a"]]),
    ("select listagg(distinct x, '-') within group (order by x) from (values (2), (1), (2)) v(x)", [["1-2"]]),
    ("select listagg(nvl(x, 'none')) from (values ('a'), (null)) v(x)", [["anone"]]),
    ("select avg(x) from (values (1), (2), (2)) v(x)", [[1]]),
    ("select avg(x::float) from (values (1), (2)) v(x)", [[1.5]]),
    ("select avg(x::bigint), avg(x::smallint) from (values (1), (2)) v(x)", [[1, 1]]),
    ("select avg(x::decimal(5, 2))::decimal(5, 2) from (values (1), (2)) v(x)", [[Decimal("1.50")]]),
    ("select median(x) from (values (1), (2), (10), (3)) v(x)", [[2.5]]),
    ("select approximate count(distinct x) from (values (1), (1), (2)) v(x)", [[2]]),
    ("select ratio_to_report(x) over (partition by 1) from (values (1), (3)) v(x) order by 1", [[0.25], [0.75]]),
    (
        "select * from (values (1, 'a'), (2, 'a'), (3, 'b')) as v(x, k)"
        " qualify row_number() over (partition by k order by x desc) = 1 order by x",
        [[2, "a"], [3, "b"]],
    ),
    (
        "select *, row_number() over (partition by k order by x) as rn from (values (1, 'a'), (2, 'a')) v(x, k)"
        " qualify rn = 2",
        [[2, "a", 2]],
    ),
    (
        "with numbered as (select k, max(x) as top from (values (1, 'a'), (2, 'b')) v(x, k) group by k"
        " qualify rank() over (order by max(x) desc) = 1) select top, k from numbered -- qualify",
        [[2, "b"]],
    ),
    ("select count(*) from (select x from (values (1), (2)) v(x) qualify row_number() over (order by x) < 2) q", [[1]]),
    ("select sysdate::date - getdate()::date", [[0]]),
    ("select 5 # 3", [[6]]),
    ("show query_group", [[""]]),
    ("select 1 as distkey, 2 as sortkey, 3 as encode, 4 as super", [[1, 2, 3, 4]]),
]  # fmt: skip


@pytest.mark.parametrize(("query", "expected"), _QUERIES, ids=[text[:60] for text, _ in _QUERIES])
def test_a_query_has_redshifts_rows(shared_cursor, query, expected):
    shared_cursor.execute(query)
    assert [list(row) for row in shared_cursor.fetchall()] == expected


_REFUSED = [
    ("unload ('select 1') to 's3://b/k' iam_role default", "UNLOAD"),
    ("create external schema s from data catalog database 'd' iam_role default", "CREATE EXTERNAL SCHEMA"),
    ("create external table s.t (a int) stored as parquet location 's3://b'", "CREATE EXTERNAL TABLE"),
    ("create model m from t target y function f iam_role default", "CREATE MODEL"),
    ("create datashare d", "CREATE DATASHARE"),
    ("alter table a append from b", "ALTER TABLE … APPEND"),
    ("merge into a using b on a.id = b.id remove duplicates", "REMOVE DUPLICATES"),
    ("select top 5 * from pg_class", "SELECT TOP"),
    ("select * from t pivot (count(*) for x in (1, 2))", "PIVOT"),
    ("copy t from 's3://b/k' iam_role default csv", "COPY with CSV"),
    ("copy t from 's3://b/k' iam_role default format as json 'auto'", "COPY with JSON"),
    ("copy t from 's3://b/k' iam_role default", "no FORMAT given"),
    ("copy t from 'dynamodb://t' iam_role default", "COPY from dynamodb://"),
    ("copy t from 's3://b/k' iam_role default parquet maxerror 5", "MAXERROR"),
    ("copy t from stdin", "COPY FROM STDIN"),
    ("create function f() returns int immutable as $$ return 1 $$ language plpythonu", "plpythonu"),
    ("create table t (g geometry)", "GEOMETRY"),
]


@pytest.mark.parametrize(("statement", "named"), _REFUSED, ids=[text[:50] for text, _ in _REFUSED])
def test_what_is_not_supported_is_refused_by_name(shared_cursor, statement, named):
    with pytest.raises(redshift_connector.ProgrammingError) as caught:
        shared_cursor.execute(statement)
    assert caught.value.args[0]["C"] == "0A000"
    assert named in caught.value.args[0]["M"]


def test_a_table_with_every_attribute_is_made(cursor, schema):
    cursor.execute(f"""
        create table if not exists "warehouse"."{schema}"."t" (
            id bigint identity(0, 1) not null encode az64 distkey,
            other bigint default identity(5, 2),
            name varchar(max) encode zstd sortkey,
            backup varchar(10) default 'no' encode raw,
            payload super,
            primary key (id)
        ) backup no diststyle key compound sortkey (id, name) -- encode lzo
    """)
    cursor.execute(f"insert into {schema}.t (name, payload) values ('a', json_parse('[1]')), ('b', null)")
    cursor.execute(f"select id, other, name, backup, payload from {schema}.t order by id")
    assert [list(row) for row in cursor.fetchall()] == [[0, 5, "a", "no", "[1]"], [1, 7, "b", "no", None]]
    cursor.execute(f"alter table {schema}.t add column extra int default 3 encode az64")
    cursor.execute(f"alter table {schema}.t alter diststyle all")
    cursor.execute(f"alter table {schema}.t alter column name encode lzo")
    cursor.execute(f"create table {schema}.copy (like {schema}.t including defaults) diststyle even")
    cursor.execute(
        f"create table {schema}.made distkey(id) interleaved sortkey(id) as select id, name as encode from {schema}.t"
    )
    cursor.execute(f"select count(*) from {schema}.made")
    assert cursor.fetchone() == [2]
    with pytest.raises(redshift_connector.ProgrammingError) as caught:
        cursor.execute(f"alter table {schema}.missing alter diststyle all")
    assert caught.value.args[0]["C"] == "42P01"


def test_a_name_longer_than_postgresql_keeps_is_refused_not_cut(cursor, schema):
    with pytest.raises(redshift_connector.ProgrammingError, match="63 bytes"):
        cursor.execute(f"create table {schema}.{'x' * 64} (a int)")


def test_temporary_tables_may_be_called_with_a_hash(cursor):
    cursor.execute("create table #staging (a int)")
    cursor.execute("insert into #staging values (5), (3)")
    cursor.execute("select s.a # 1 from #staging s join #staging o on s.a = o.a order by 1")
    assert [row[0] for row in cursor.fetchall()] == [2, 4]
    cursor.execute("delete #staging where a = 5")
    cursor.execute("select count(*) from #staging")
    assert cursor.fetchone() == [1]
    cursor.execute("drop table #staging")


def test_dml_of_redshift_works(cursor, schema):
    cursor.execute(f"create table {schema}.t (id int, v varchar(10)); ".rstrip("; "))
    cursor.execute(f"create table {schema}.s (id int, v varchar(10))")
    cursor.execute(f"insert into {schema}.t values (1, 'a'), (2, 'b')")
    cursor.execute(f"insert into {schema}.s values (2, 'B'), (3, 'C')")
    cursor.execute(
        f"merge into {schema}.t using {schema}.s s on {schema}.t.id = s.id"
        " when matched then update set v = s.v when not matched then insert values (s.id, s.v)"
    )
    cursor.execute(
        f"delete from {schema}.t using {schema}.s where {schema}.t.id = {schema}.s.id and {schema}.s.v = 'C'"
    )
    cursor.execute(f"select * from {schema}.t order by 1")
    assert [list(row) for row in cursor.fetchall()] == [[1, "a"], [2, "B"]]


def test_groups_roles_and_users_are_granted_what_they_are_called(connect, schema, cursor):
    cursor.execute(f"create table {schema}.t (id int)")
    admin = connect(autocommit=True, user=ADMIN, password=ADMIN_PASSWORD).cursor()
    admin.execute("create group people")
    admin.execute("create role analyst")
    for grantee in ("group people", "role analyst", LOADER):
        admin.execute(f"grant select on {schema}.t to {grantee}")
    cursor.execute(f"show grants on table warehouse.{schema}.t")
    names = [column[0] for column in cursor.description]
    grants = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    assert {(grant["identity_type"], grant["identity_name"]) for grant in grants} >= {
        ("role", "/people"),
        ("user", LOADER),
    }
    for grantee in ("group people", "role analyst"):
        admin.execute(f"revoke select on {schema}.t from {grantee}")
    admin.execute("drop group people")
    admin.execute("drop role analyst")


def test_settings_and_maintenance_of_redshift_are_accepted(cursor, schema):
    cursor.execute("set query_group to 'loads'")
    cursor.execute("show query_group")
    assert cursor.fetchone() == ["loads"]
    cursor.execute("reset query_group")
    cursor.execute("set enable_case_sensitive_identifier to false")
    cursor.execute(f"create table {schema}.t (a int)")
    for command in (
        "vacuum full {}.t to 95 percent boost",
        "vacuum delete only {}.t",
        "analyze {}.t predicate columns",
        "analyze {}.t",
    ):
        cursor.execute(command.format(schema))
    cursor.execute(f"analyze compression {schema}.t")
    assert [list(row)[1:3] for row in cursor.fetchall()] == [["a", "raw"]]


def test_functions_are_found_under_any_search_path(cursor, schema):
    cursor.execute(f"set search_path to {schema}")
    cursor.execute("select getdate() is not null, avg(1), dateadd(day, 1, getdate()) > getdate()")
    assert list(cursor.fetchone()) == [True, 1, True]
    cursor.execute("show search_path")
    assert cursor.fetchone() == [schema]


def test_installing_again_changes_nothing(postgres):
    settings = {
        "host": "127.0.0.1",
        "port": postgres.port,
        "user": ADMIN,
        "password": ADMIN_PASSWORD,
        "dbname": DATABASE,
    }
    assert install(settings) is False
    connection = postgres.connect()
    with connection, connection.cursor() as cursor:
        cursor.execute("update redshift_compat.installed set version = 'older'")
    connection.close()
    assert install(settings) is True
