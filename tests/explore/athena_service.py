"""Athena with a memory: executions that take a few looks, fail or are stopped, and results as AWS shapes them.

Requests and answers go through botocore's own client, so that its model of the service checks both.
"""

import uuid
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.validate import ParamValidator

PAGE = 1_000


@dataclass
class Execution:
    """One query: how often it is looked at before it ends, and what it ends with."""

    request: dict[str, Any]
    looks: int
    outcome: str
    is_stopped: bool = False


@dataclass
class AthenaService:
    """Answers one kind of result to every query.

    Args:
        columns: name → type, as Athena tells it.
        rows: texts; None is null.
    """

    columns: dict[str, str]
    rows: list[list[str | None]]
    looks: int = 2
    outcome: str = "SUCCEEDED"
    refuses: str = ""
    is_retryable: bool = False
    scanned: int = 123_000_000
    output: str = "s3://datalake-flights-lake/athena/"
    kind: str = "DML"
    executions: dict[str, Execution] = field(default_factory=dict)
    on_look: Any = None

    def client(self) -> Any:
        """A client of botocore whose requests come here instead of leaving."""
        client = boto3.client(
            "athena", region_name="eu-central-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        client.meta.events.register("before-call.athena", self._answer)
        self._model = client.meta.service_model
        return client

    def _answer(self, model: Any, params: dict[str, Any], request_signer: Any, **_: Any) -> Any:
        import json

        asked = json.loads(params["body"])
        answer = getattr(self, f"_{model.name}")(asked)
        if "Error" in answer:
            return AWSResponse("", 400, {}, None), answer
        report = ParamValidator().validate(answer, model.output_shape)
        assert not report.has_errors(), report.generate_report()
        return AWSResponse("", 200, {}, None), {**answer, "ResponseMetadata": {"HTTPStatusCode": 200}}

    def _StartQueryExecution(self, asked: dict[str, Any]) -> dict[str, Any]:
        if self.refuses:
            return {"Error": {"Code": "InvalidRequestException", "Message": self.refuses}}
        number = str(uuid.uuid4())
        self.executions[number] = Execution(asked, self.looks, self.outcome)
        return {"QueryExecutionId": number}

    def _GetQueryExecution(self, asked: dict[str, Any]) -> dict[str, Any]:
        number = asked["QueryExecutionId"]
        execution = self.executions[number]
        if self.on_look:
            self.on_look()
        state = "CANCELLED" if execution.is_stopped else execution.outcome
        if execution.looks > 0:
            execution.looks -= 1
            state = "QUEUED" if execution.looks else "RUNNING"
        status: dict[str, Any] = {"State": state}
        if state == "FAILED":
            status["StateChangeReason"] = "COLUMN_NOT_FOUND: line 1:8: Column 'x' cannot be resolved"
            status["AthenaError"] = {"Retryable": self.is_retryable}
        return {
            "QueryExecution": {
                "QueryExecutionId": number,
                "Query": execution.request["QueryString"],
                "StatementType": self.kind,
                "ResultConfiguration": {"OutputLocation": f"{self.output}{number}.csv"},
                "Status": status,
                "Statistics": {"DataScannedInBytes": self.scanned, "TotalExecutionTimeInMillis": 1500},
            }
        }

    def _StopQueryExecution(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.executions[asked["QueryExecutionId"]].is_stopped = True
        return {}

    def _GetQueryResults(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert asked["MaxResults"] <= PAGE
        header = [list(self.columns)] if self.kind == "DML" else []
        every: list[list[str | None]] = [*header, *self.rows]  # type: ignore[list-item]
        start = int(asked.get("NextToken", 0))
        shown = every[start : start + asked["MaxResults"]]
        answer: dict[str, Any] = {
            "ResultSet": {
                "Rows": [{"Data": [{} if cell is None else {"VarCharValue": cell} for cell in row]} for row in shown],
                "ResultSetMetadata": {"ColumnInfo": [self._column(*each) for each in self.columns.items()]},
            }
        }
        if start + len(shown) < len(every):
            answer["NextToken"] = str(start + len(shown))
        return answer

    def _column(self, name: str, kind: str) -> dict[str, Any]:
        word, _, numbers = kind.partition("(")
        described: dict[str, Any] = {"Name": name, "Type": word}
        if numbers:
            precision, scale = numbers.rstrip(")").split(",")
            described |= {"Precision": int(precision), "Scale": int(scale)}
        return described

    def as_csv(self) -> bytes:
        """The file that Athena writes: every value quoted, nulls empty."""
        every: list[list[str | None]] = [list(self.columns), *self.rows]  # type: ignore[list-item]
        lines = (",".join("" if c is None else '"' + c.replace('"', '""') + '"' for c in row) for row in every)
        return "".join(f"{line}\n" for line in lines).encode()
