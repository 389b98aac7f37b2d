"""Expressions of `columns` in Spark SQL, for what both engines compute alike; all else is refused by its name.

DuckDB's SQL is read by sqlglot and written again piece by piece, with the type of each piece known: Spark's own rules
for decimals, division, overflow and letters differ from DuckDB's in places, and a rewrite that ignores types would
differ silently.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datalake_assets.column_types import MAX_DECIMAL_DIGITS, TargetType
from datalake_assets.errors import Unsupported
from datalake_assets.mapping.spark.text import literal

if TYPE_CHECKING:
    pass

TEXT = TargetType("varchar")
TRUTH = TargetType("boolean")
DOUBLE = TargetType("double")
WHOLE = TargetType("bigint")
_DIGITS = {"smallint": 5, "int": 10, "bigint": 19}
_FAST_DIGITS = 18  # of a decimal in 64 bits
_ORDER = ("smallint", "int", "bigint")


@dataclass(frozen=True, slots=True)
class Compiled:
    """`sql` is a text (the value as a raw column would hold it); `fails` tells for which rows it cannot be computed."""

    sql: str
    fails: str


@dataclass(frozen=True, slots=True)
class _Value:
    sql: str
    type: TargetType | None  # None is a bare NULL


def compile_expression(sql: str, known: Mapping[str, tuple[str, TargetType]]) -> Compiled:
    """Compile DuckDB SQL over target columns (name → SQL and type) to Spark SQL.

    Raises:
        Unsupported: it holds something that Spark does not compute as DuckDB does.
    """
    from sqlglot import parse_one

    writer = _Writer(sql, known)
    value = writer.write(parse_one(sql, read="duckdb"))
    fails = " OR ".join(f"({each})" for each in writer.fails) or "false"
    # A comparison with NULL is no failure.
    return Compiled(f"CAST({value.sql} AS STRING)", f"coalesce({fails}, false)")


class _Writer:
    def __init__(self, sql: str, known: Mapping[str, tuple[str, TargetType]]) -> None:
        self._sql = sql
        self._known = {name.lower(): found for name, found in known.items()}
        self._conditional = 0
        self.fails: list[str] = []

    def write(self, node: Any) -> _Value:
        writers: dict[str, Callable[[Any], _Value]] = {
            "Column": self._column,
            "Literal": self._literal,
            "Boolean": lambda node: _Value("true" if node.this else "false", TRUTH),
            "Null": lambda _: _Value("NULL", None),
            "Paren": self._paren,
            "Neg": self._negative,
            "Add": self._arithmetic,
            "Sub": self._arithmetic,
            "Mul": self._arithmetic,
            "Div": self._quotient,
            "And": self._logic,
            "Or": self._logic,
            "Not": lambda node: _Value(f"NOT {self._of(node.this, TRUTH)}", TRUTH),
            "EQ": self._comparison,
            "NEQ": self._comparison,
            "LT": self._comparison,
            "LTE": self._comparison,
            "GT": self._comparison,
            "GTE": self._comparison,
            "Is": self._is_null,
            "Case": self._case,
            "Coalesce": self._coalesce,
            "Nullif": self._nullif,
            "DPipe": self._joined,
            "Concat": self._concat,
            "Trim": self._trim,
            "Length": self._length,
            "Left": self._cut,
            "Right": self._cut,
            "Abs": self._absolute,
            "Bracket": self._field,
            "Round": self._rounded,
        }
        if (writer := writers.get(type(node).__name__)) is None:
            raise self._refusal(node)
        return writer(node)

    def _refusal(self, node: Any, why: str = "") -> Unsupported:
        return Unsupported(
            f"Spark does not compute {node.sql(dialect='duckdb')!r} as DuckDB does{why}",
            where=f"expression {self._sql!r}",
            expected="columns, constants, + - *, / by a number, comparisons, AND OR NOT, CASE, coalesce, nullif, ||, "
            "concat, trim, length, left, right, abs, round of doubles, fields of structs",
            todo="Let DuckDB run this pipeline, or compute the column in a transform.",
        )

    def _of(self, node: Any, type_: TargetType) -> str:
        value = self.write(node)
        if value.type is not None and value.type.kind != type_.kind:
            raise self._refusal(node, f" (it is {value.type}, not {type_.kind})")
        return value.sql

    def _column(self, node: Any) -> _Value:
        sql, type_ = self._known[node.name.lower()]
        return _Value(sql, type_)

    def _literal(self, node: Any) -> _Value:
        if node.is_string:
            return _Value(literal(node.this), TEXT)
        text = str(node.this)
        if text.isdigit():
            kind = "int" if int(text) < 2**31 else "bigint"
            if int(text) >= 2**63:
                raise self._refusal(node)
            return _Value(f"CAST({text} AS {TargetType(kind).spark})", TargetType(kind))  # type: ignore[arg-type]
        whole, point, fraction = text.partition(".")
        if not point or not (whole + fraction).isdigit():
            raise self._refusal(node)
        precision = max(len(whole.lstrip("0")), 0) + len(fraction) or 1
        type_ = TargetType("decimal", precision=max(precision, len(fraction)), scale=len(fraction))
        return _Value(f"CAST({literal(text)} AS {type_.spark})", type_)

    def _paren(self, node: Any) -> _Value:
        inner = self.write(node.this)
        return _Value(f"({inner.sql})", inner.type)

    def _negative(self, node: Any) -> _Value:
        value = self.write(node.this)
        if value.type is None or (value.type.kind not in ("decimal", "double", "real") and not node.this.is_number):
            raise self._refusal(node)
        if value.type.kind == "decimal":
            # The embedded Spark loses the scale of a decimal behind a sign.
            return _Value(f"CAST(0 - {value.sql} AS {value.type.spark})", value.type)
        return _Value(f"(- {value.sql})", value.type)

    def _absolute(self, node: Any) -> _Value:
        value = self.write(node.this)
        if value.type is None or value.type.kind not in ("decimal", "double", "real"):
            raise self._refusal(node)
        return _Value(f"abs({value.sql})", value.type)

    def _field(self, node: Any) -> _Value:
        struct = self.write(node.this)
        (key,) = node.expressions if len(node.expressions) == 1 else (node,)
        parts = dict(struct.type.parts) if struct.type is not None and struct.type.kind == "struct" else {}
        if type(key).__name__ != "Literal" or not key.is_string or key.name not in parts:
            raise self._refusal(node)
        return _Value(f"{struct.sql}.`{key.name}`", parts[key.name])

    def _rounded(self, node: Any) -> _Value:
        value = self.write(node.this)
        places = node.args.get("decimals")
        is_few = type(places).__name__ == "Literal" and places.is_int and int(places.name) <= _FAST_DIGITS
        if value.type is None or value.type.kind != "double" or not is_few or node.args.get("truncate"):
            raise self._refusal(node)
        # As DuckDB does it: Spark would round the digits that are shown.
        moved = f"({value.sql} * CAST('1e{places.name}' AS DOUBLE))"
        rounded = f"(round({moved}, 0) / CAST('1e{places.name}' AS DOUBLE))"
        return _Value(f"CASE WHEN abs({moved}) < double('Infinity') THEN {rounded} ELSE {value.sql} END", DOUBLE)

    def _arithmetic(self, node: Any) -> _Value:
        left, right = self.write(node.this), self.write(node.expression)
        sign = {"Add": "+", "Sub": "-", "Mul": "*"}[type(node).__name__]
        if left.type is None or right.type is None:
            raise self._refusal(node)
        kinds = {left.type.kind, right.type.kind}
        if kinds <= {*_DIGITS}:
            return self._whole(node, left, right, sign)
        if kinds <= {*_DIGITS, "decimal"}:
            return self._decimal(node, left, right, sign)
        if kinds <= {*_DIGITS, "decimal", "double"}:
            operands = (f"CAST({each.sql} AS DOUBLE)" for each in (left, right))
            return _Value(f"({f' {sign} '.join(operands)})", DOUBLE)
        raise self._refusal(node)

    def _whole(self, node: Any, left: _Value, right: _Value, sign: str) -> _Value:
        """Whole numbers: what overflows fails, and a branch that is not taken must not."""
        if self._conditional:
            raise self._refusal(node, " within a condition")
        assert left.type is not None
        assert right.type is not None
        kind = max(left.type.kind, right.type.kind, key=_ORDER.index)
        type_ = TargetType(kind)
        exact = f"(CAST({left.sql} AS DECIMAL(19,0)) {sign} CAST({right.sql} AS DECIMAL(19,0)))"
        result = f"try_cast({exact} AS {type_.spark})"
        self.fails.append(f"{exact} IS NOT NULL AND {result} IS NULL")
        return _Value(result, type_)

    def _decimal(self, node: Any, left: _Value, right: _Value, sign: str) -> _Value:
        sides = []
        for side in (left, right):
            assert side.type is not None
            if side.type.kind == "decimal":
                sides.append((side.sql, side.type.precision or 0, side.type.scale or 0))
            else:
                digits = _DIGITS[side.type.kind]
                sides.append((f"CAST({side.sql} AS DECIMAL({digits},0))", digits, 0))
        (_, precision, scale), (_, other_precision, other_scale) = sides
        if sign == "*":
            digits, places = precision + other_precision, scale + other_scale
        else:
            places = max(scale, other_scale)
            digits = max(precision - scale, other_precision - other_scale) + places + 1
        if digits >= MAX_DECIMAL_DIGITS:  # Spark takes one digit more and would cut decimals
            raise self._refusal(node, f": the result may have {digits} digits")
        exact = f"({sides[0][0]} {sign} {sides[1][0]})"
        if digits <= _FAST_DIGITS or max(precision, other_precision) > _FAST_DIGITS:
            type_ = TargetType("decimal", precision=digits, scale=places)
            return _Value(f"CAST({exact} AS {type_.spark})", type_)
        # DuckDB stays within 64 bits if both sides do, and fails for what does not fit.
        if self._conditional or places > _FAST_DIGITS:
            raise self._refusal(node, f" with {digits} digits" + " within a condition" * bool(self._conditional))
        type_ = TargetType("decimal", precision=_FAST_DIGITS, scale=places)
        result = f"try_cast({exact} AS {type_.spark})"
        self.fails.append(f"{exact} IS NOT NULL AND {result} IS NULL")
        return _Value(result, type_)

    def _quotient(self, node: Any) -> _Value:
        left, right = self.write(node.this), self.write(node.expression)
        divisor = node.expression.unnest()
        is_number = divisor.is_number and float(divisor.name) != 0
        is_guarded = (
            type(divisor).__name__ == "Nullif" and divisor.expression.is_number and float(divisor.expression.name) == 0
        )
        if not (is_number or is_guarded):
            raise self._refusal(node, ": what it divides by may be zero; write a number or nullif(…, 0)")
        if left.type is None or left.type.kind not in (*_DIGITS, "decimal", "double"):
            raise self._refusal(node)
        return _Value(f"(CAST({left.sql} AS DOUBLE) / CAST({right.sql} AS DOUBLE))", DOUBLE)

    def _logic(self, node: Any) -> _Value:
        word = type(node).__name__.upper()
        return _Value(f"({self._of(node.this, TRUTH)} {word} {self._of(node.expression, TRUTH)})", TRUTH)

    def _comparison(self, node: Any) -> _Value:
        left, right = self.write(node.this), self.write(node.expression)
        signs = {"EQ": "=", "NEQ": "<>", "LT": "<", "LTE": "<=", "GT": ">", "GTE": ">="}
        if not _are_alike(left, right):
            raise self._refusal(node, f" ({left.type} and {right.type})")
        return _Value(f"({left.sql} {signs[type(node).__name__]} {right.sql})", TRUTH)

    def _is_null(self, node: Any) -> _Value:
        if type(node.expression).__name__ != "Null":
            raise self._refusal(node)
        return _Value(f"({self.write(node.this).sql} IS NULL)", TRUTH)

    def _case(self, node: Any) -> _Value:
        self._conditional += 1
        subject = None if node.this is None else self.write(node.this)
        values: list[_Value] = []
        written = ""
        for branch in node.args["ifs"]:
            condition = self.write(branch.this)
            if subject is not None and not _are_alike(subject, condition):
                raise self._refusal(node)
            values.append(self.write(branch.args["true"]))
            written += f" WHEN {condition.sql} THEN {values[-1].sql}"
        if node.args.get("default") is not None:
            values.append(self.write(node.args["default"]))
            written += f" ELSE {values[-1].sql}"
        self._conditional -= 1
        type_ = self._same_type(node, values)
        return _Value(f"CASE{'' if subject is None else ' ' + subject.sql}{written} END", type_)

    def _coalesce(self, node: Any) -> _Value:
        self._conditional += 1
        values = [self.write(each) for each in (node.this, *node.expressions)]
        self._conditional -= 1
        return _Value(f"coalesce({', '.join(each.sql for each in values)})", self._same_type(node, values))

    def _same_type(self, node: Any, values: list[_Value]) -> TargetType | None:
        types = {(each.type.kind, each.type.precision, each.type.scale) for each in values if each.type is not None}
        if len(types) > 1:
            raise self._refusal(node, ": its results are of different types")
        return next((each.type for each in values if each.type is not None), None)

    def _nullif(self, node: Any) -> _Value:
        left, right = self.write(node.this), self.write(node.expression)
        if not _are_alike(left, right):
            raise self._refusal(node)
        return _Value(f"nullif({left.sql}, {right.sql})", left.type)

    def _joined(self, node: Any) -> _Value:
        return _Value(f"concat({self._of(node.this, TEXT)}, {self._of(node.expression, TEXT)})", TEXT)

    def _concat(self, node: Any) -> _Value:
        parts = [f"coalesce({self._of(each, TEXT)}, '')" for each in node.expressions]
        return _Value(f"concat({', '.join(parts)})", TEXT)

    def _trim(self, node: Any) -> _Value:
        if node.expression is not None or node.args.get("collation"):
            raise self._refusal(node)
        function = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(node.args.get("position") or "", "trim")
        return _Value(f"{function}({self._of(node.this, TEXT)})", TEXT)

    def _length(self, node: Any) -> _Value:
        return _Value(f"CAST(char_length({self._of(node.this, TEXT)}) AS BIGINT)", WHOLE)

    def _cut(self, node: Any) -> _Value:
        count = node.expression
        # A negative one is no literal but a sign before it, and counts from the other end.
        if type(count).__name__ != "Literal" or not count.is_int:
            raise self._refusal(node)
        return _Value(f"{type(node).__name__.lower()}({self._of(node.this, TEXT)}, {int(count.name)})", TEXT)


def _are_alike(left: _Value, right: _Value) -> bool:
    """Whether both engines compare them alike: whole numbers and decimals with each other, all else with its own."""
    exact = {*_DIGITS, "decimal"}
    if left.type is None or right.type is None:
        return True
    return left.type.kind == right.type.kind or {left.type.kind, right.type.kind} <= exact
