"""Run a COPY: the objects' rows go into the client's own backend connection, inside its transaction."""

import asyncio
import itertools
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from datalake_assets.sandbox.redshift import wire
from datalake_assets.sandbox.redshift.backend import LoginRefused, QueryFailed
from datalake_assets.sandbox.redshift.copy.columns import Column
from datalake_assets.sandbox.redshift.copy.command import CopyCommand
from datalake_assets.sandbox.redshift.copy.objects import CopyObject, objects_to_load
from datalake_assets.sandbox.redshift.copy.rows import Progress, csv_chunks
from datalake_assets.sandbox.redshift.refusals import Refused, literal
from datalake_assets.sandbox.redshift.replies import Expected
from datalake_assets.sandbox.redshift.translate import redacted

if TYPE_CHECKING:
    from datalake_assets.sandbox.redshift.session import Session

_QUERY_IDS = itertools.count(int(time.time()) % 1_000_000_000)


async def run_copy(session: "Session", message: bytes, command: CopyCommand) -> None:
    """Execute a COPY whose statement and portal PostgreSQL already has; `message` is the client's Execute.

    Every failure reaches the client as one ErrorResponse, with the transaction aborted. A client that leaves ends the
    copy: its backend connection is closed by the session, which rolls the rows back.
    """
    try:
        columns = await _columns(session, command)
    except QueryFailed:
        return  # the client has been told; PostgreSQL skips what follows
    loop = asyncio.get_running_loop()
    expected = Expected("execute", tag=b"COPY", done=loop.create_future(), copying=loop.create_future())
    assert expected.copying is not None
    assert expected.done is not None
    if isinstance(columns, Refused):
        expected.error = _frame(columns)
    session.replies.expect(expected)
    session.backend.writer.write(message + wire.FLUSH)
    await session.backend.writer.drain()
    progress = Progress()
    started = time.time()
    query_id = next(_QUERY_IDS)
    failure: Refused | None = None
    if await expected.copying and not isinstance(columns, Refused):
        failure = await _feed(session, command, columns, expected, progress)
        if failure is not None:
            await _record_failure(session, command, query_id, progress, failure)
            expected.error = _frame(failure)
            session.backend.writer.write(wire.copy_fail(failure.message) + wire.FLUSH)
        else:
            session.backend.writer.write(wire.COPY_DONE + wire.FLUSH)
        await session.backend.writer.drain()
    try:
        await expected.done
        await session.ask(_remember_sql(query_id, progress.rows))
        await _record(session, _success_sql(session, command, query_id, progress, started))
    except QueryFailed as error:
        if failure is None and isinstance(columns, list):
            refused = Refused(error.fields.get("C", "XX000"), error.fields.get("M", str(error)))
            await _record_failure(session, command, query_id, progress, refused)


async def _columns(session: "Session", command: CopyCommand) -> list[Column] | Refused:
    """The target's columns in the order of the file, as the client's own transaction sees them."""
    table = literal(command.quoted_table)
    rows = await session.ask(
        "select a.attname, case when t.typtype = 'd' then b.typname else t.typname end, a.atttypmod"
        " from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid"
        " left join pg_catalog.pg_type b on b.oid = t.typbasetype"
        f" where a.attrelid = pg_catalog.to_regclass({table}) and a.attnum > 0 and not a.attisdropped"
        " order by a.attnum"
    )
    found = {str(name): Column(str(name), str(kind), int(typmod or -1)) for name, kind, typmod in rows}
    if not found:
        return Refused("42P01", f"Cannot COPY into nonexistent table {command.table[-1]}")
    for name in command.columns:
        if name not in found:
            return Refused("42703", f'column "{name}" of relation "{command.table[-1]}" does not exist')
    return [found[name] for name in command.columns] if command.columns else list(found.values())


async def _feed(
    session: "Session", command: CopyCommand, columns: list[Column], expected: Expected, progress: Progress
) -> Refused | None:
    """Send all rows; return what went wrong on S3's side. PostgreSQL's own errors are seen in `expected`.

    Raises:
        EOFError: the client left.
    """
    work = asyncio.create_task(_send_rows(session, command, columns, expected, progress))
    gone = asyncio.create_task(session.gone.wait())
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise EOFError("the client left during COPY")
        return work.result()
    finally:
        gone.cancel()
        work.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)


async def _send_rows(
    session: "Session", command: CopyCommand, columns: list[Column], expected: Expected, progress: Progress
) -> Refused | None:
    try:
        s3 = await asyncio.to_thread(session.s3.client, command.region)
        objects: list[CopyObject] = await asyncio.to_thread(objects_to_load, s3, command)
        chunks = csv_chunks(s3, objects, columns, serialize_to_json=command.serialize_to_json, progress=progress)
        # One chunk is prepared in a thread while PostgreSQL takes the one before it; never more than two exist.
        following = asyncio.create_task(asyncio.to_thread(_next, chunks))
        while (chunk := await following) is not None:
            assert expected.done is not None
            if expected.done.done():
                return None  # PostgreSQL refused a row: its error is on the way to the client
            following = asyncio.create_task(asyncio.to_thread(_next, chunks))
            session.backend.writer.write(wire.frame(b"d", chunk))
            await session.backend.writer.drain()
    except Refused as refusal:
        return refusal
    return None


def _next(chunks: Iterator[bytes]) -> bytes | None:
    return next(chunks, None)


def _frame(refusal: Refused) -> bytes:
    return wire.error(refusal.sqlstate, refusal.message, detail=refusal.detail, hint=refusal.hint)


def _remember_sql(query_id: int, rows: int) -> str:
    return (
        f"select set_config('redshift.last_copy_count', '{rows}', false),"
        f" set_config('redshift.last_copy_id', '{query_id}', false)"
    )


def _success_sql(session: "Session", command: CopyCommand, query_id: int, progress: Progress, started: float) -> str:
    seconds = time.time() - started
    return (
        f"select redshift_compat.record_load({query_id}, {_backend_pid(session)}, {literal(command.quoted_table)},"
        f" {literal(command.source)}, {literal(redacted(command.text))}, {progress.rows}, {progress.objects},"
        f" {seconds})"
    )


async def _record_failure(
    session: "Session", command: CopyCommand, query_id: int, progress: Progress, failure: Refused
) -> None:
    reason = f"{failure.message}: {failure.detail}" if failure.detail else failure.message
    await _record(
        session,
        f"select redshift_compat.record_load_error({query_id}, {_backend_pid(session)},"
        f" {literal(command.quoted_table)}, {literal(progress.current or command.source)}, {progress.rows},"
        f" {literal(failure.sqlstate)}, {literal(reason)})",
    )


async def _record(session: "Session", sql: str) -> None:
    """Write to the load history; a database without it (no bootstrap) loads all the same."""
    try:
        await session.ask_aside(sql)
    except (QueryFailed, LoginRefused, OSError, EOFError) as error:
        session.log({"load_history": f"not written: {error}"})


def _backend_pid(session: "Session") -> int:
    return int.from_bytes(session.backend.key_data[:4], "big")
