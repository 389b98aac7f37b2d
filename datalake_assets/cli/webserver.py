"""Dagster's webserver as commands ask it: the jobs of a location, their partitions and runs, and new runs."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datalake_assets.errors import ConcurrentChange, ConfigurationError, Unavailable

TIMEOUT_SECONDS = 60
RECENT_RUNS = 200
PARTITION_TAG = "dagster/partition"
GOING = frozenset({"NOT_STARTED", "MANAGED", "QUEUED", "STARTING", "STARTED", "CANCELING"})
FAILED = frozenset({"FAILURE", "CANCELED"})
_REPOSITORY = "__repository__"

_LOCATION = """
query Location($name: String!) {
  workspaceLocationEntryOrError(name: $name) {
    __typename
    ... on WorkspaceLocationEntry {
      locationOrLoadError {
        __typename
        ... on RepositoryLocation { repositories { pipelines { name } } }
        ... on PythonError { message }
      }
    }
    ... on PythonError { message }
  }
  workspaceOrError { ... on Workspace { locationEntries { name } } }
}"""
_PARTITIONS = """
query Partitions($job: PipelineSelector!) {
  pipelineOrError(params: $job) {
    __typename
    ... on Pipeline { partitionKeysOrError { partitionKeys } }
    ... on PythonError { message }
  }
}"""
_RUNS = """
query Runs($filter: RunsFilter!, $limit: Int!) {
  runsOrError(filter: $filter, limit: $limit) {
    __typename
    ... on Runs {
      results { runId status creationTime tags { key value } repositoryOrigin { repositoryLocationName } }
    }
    ... on PythonError { message }
  }
}"""
_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launched: launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on Error { message }
  }
}"""
_LAUNCH_AGAIN = """
mutation LaunchAgain($params: ReexecutionParams!) {
  launched: launchRunReexecution(reexecutionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on Error { message }
  }
}"""


@dataclass(frozen=True)
class Run:
    """A run as the webserver tells it."""

    run_id: str
    status: str
    created_at: float
    tags: Mapping[str, str]
    location: str | None


@dataclass(frozen=True)
class Webserver:
    """The GraphQL API at the address of the UI."""

    url: str

    def require_job(self, location: str, job: str) -> None:
        """See that a location has a job.

        Raises:
            ConfigurationError: it has none, or there is no such location; the nearest name is suggested.
            Unavailable: the webserver does not answer, or the location could not be loaded.
        """
        data = self.query(_LOCATION, {"name": location})
        known = [each["name"] for each in data["workspaceOrError"].get("locationEntries", [])]
        entry = data["workspaceLocationEntryOrError"] or {}
        if location not in known:
            raise _unknown(f"the webserver knows no location {location!r}", location, known, self.url)
        loaded = entry.get("locationOrLoadError") or {}
        if loaded.get("__typename") != "RepositoryLocation":
            reason = (loaded.get("message") or entry.get("message") or "it is still loading").strip().splitlines()[-1]
            raise Unavailable(f"the location {location} is not loaded: {reason}", where=self.url)
        jobs = [
            pipeline["name"]
            for repository in loaded["repositories"]
            for pipeline in repository["pipelines"]
            if not pipeline["name"].startswith("__")
        ]
        if job not in jobs:
            raise _unknown(f"the location {location} has no pipeline {job!r}", job, jobs, self.url)

    def partitions(self, location: str, job: str) -> list[str]:
        """The partition keys of a job in their order; none if it has no partitions."""
        found = self.query(_PARTITIONS, {"job": _selector(location, job)})["pipelineOrError"]
        if found["__typename"] != "Pipeline":
            raise Unavailable(f"the partitions of {location}/{job} cannot be told: {found.get('message')}")
        keys: list[str] = found["partitionKeysOrError"]["partitionKeys"]
        return keys

    def runs(self, location: str, job: str, *, tags: Mapping[str, str] | None = None) -> list[Run]:
        """The newest runs of a job with these tags, the newest first."""
        wanted: dict[str, Any] = {"pipelineName": job}
        if tags:
            wanted["tags"] = _pairs(tags)
        found = self.query(_RUNS, {"filter": wanted, "limit": RECENT_RUNS})["runsOrError"]
        if found["__typename"] != "Runs":
            raise Unavailable(f"the runs of {location}/{job} cannot be told: {found.get('message')}", where=self.url)
        runs = [
            Run(
                each["runId"],
                each["status"],
                each["creationTime"],
                {tag["key"]: tag["value"] for tag in each["tags"]},
                (each["repositoryOrigin"] or {}).get("repositoryLocationName"),
            )
            for each in found["results"]
        ]
        return [each for each in runs if each.location == location]

    def launch(self, location: str, job: str, tags: Mapping[str, str]) -> str:
        """Start a run of all steps; return its id. Whatever a sensor has started before does not matter."""
        params = {"selector": _selector(location, job), "executionMetadata": {"tags": _pairs(tags)}}
        return self._launched(self.query(_LAUNCH, {"params": params}), f"{location}/{job}")

    def launch_from_failure(self, run: Run, tags: Mapping[str, str]) -> str:
        """Start a run that takes over what a failed one had finished; return its id."""
        params = {
            "parentRunId": run.run_id,
            "strategy": "FROM_FAILURE",
            "extraTags": _pairs(tags),
            "useParentRunTags": True,
        }
        return self._launched(self.query(_LAUNCH_AGAIN, {"params": params}), f"run {run.run_id}")

    def run_url(self, run_id: str) -> str:
        return f"{self.url}/runs/{run_id}"

    def query(self, text: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Ask, as the UI does.

        Raises:
            Unavailable: nothing answers there, or something that is no Dagster.
        """
        import httpx

        todo = "`datalake dev` runs one; DATALAKE_UI_URL says where another is"
        try:
            answer = httpx.post(
                f"{self.url}/graphql", json={"query": text, "variables": dict(variables)}, timeout=TIMEOUT_SECONDS
            )
            body = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable(f"Dagster's webserver does not answer: {error}", where=self.url, todo=todo) from error
        if not isinstance(body, dict) or body.get("errors") or not body.get("data"):
            told = body["errors"][0].get("message") if isinstance(body, dict) and body.get("errors") else "no data"
            raise Unavailable(f"Dagster's webserver refused: {told}", where=self.url, todo=todo)
        data: dict[str, Any] = body["data"]
        return data

    def _launched(self, data: Mapping[str, Any], what: str) -> str:
        found = data["launched"]
        if found["__typename"] == "LaunchRunSuccess":
            run_id: str = found["run"]["runId"]
            return run_id
        message = " ".join(str(found.get("message") or found["__typename"]).split())
        if found["__typename"] == "RunConflict":
            raise ConcurrentChange(f"{what} was not started: {message}", where=self.url)
        raise ConfigurationError(f"{what} was not started: {message}", where=self.url)


def _selector(location: str, job: str) -> dict[str, str]:
    return {"repositoryLocationName": location, "repositoryName": _REPOSITORY, "pipelineName": job}


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _unknown(found: str, wrong: str, known: Sequence[str], url: str) -> ConfigurationError:
    near = difflib.get_close_matches(wrong, list(known), n=1)
    return ConfigurationError(
        found,
        where=url,
        expected="one of " + ", ".join(sorted(known)) if known else None,
        todo=f"Did you mean {near[0]}?" if near else None,
    )
