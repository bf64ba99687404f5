"""Failures on demand: which requests go wrong, how, and how often; and latency."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from al_framework_roboflow.server.exchange import Reply, json_reply

Endpoint = Literal[
    "root",
    "workspace",
    "project",
    "active_learning",
    "batches",
    "jobs",
    "upload",
    "annotate",
]
_DEFAULT_BODY: JsonValue = {"error": "failure on demand"}


class Failure(BaseModel):
    """One rule. Rules are tried in the order they were added; the first that matches is used.

    A rule with nothing but a latency answers late and otherwise as usual.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint: Endpoint | Literal["any"] = Field(
        default="any", description="Which endpoint goes wrong."
    )
    project: str | None = Field(default=None, description="Only requests about this project.")
    skip: int = Field(default=0, ge=0, description="How many matching requests pass before.")
    times: int | None = Field(
        default=1, ge=1, description="How often it goes wrong; null: until the rules are cleared."
    )
    status: int | None = Field(
        default=None, ge=200, le=599, description="The HTTP status to answer with."
    )
    headers: dict[str, str] = Field(
        default_factory=dict, description="Headers of that answer, such as Retry-After."
    )
    body: JsonValue = Field(default=_DEFAULT_BODY, description="The JSON document of that answer.")
    text: str | None = Field(
        default=None, description="Text to answer with instead of a JSON document, as text/html."
    )
    drop: bool = Field(default=False, description="Close the connection without an answer.")
    after_storing: bool = Field(
        default=False, description="Do what was asked first, then answer wrongly or drop."
    )
    latency_s: float = Field(default=0.0, ge=0, le=3600, description="Seconds to wait before.")

    @field_validator("headers")
    @classmethod
    def _one_line_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not name.isascii() or not value.isascii() or {*name, *value} & {*"\r\n"} or not name:
                raise ValueError(f"header {name!r} is not one line of ASCII")
        return headers

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        given = self.model_fields_set
        if self.drop and self.status is not None:
            raise ValueError("'drop' sends no answer: leave out 'status', or 'drop'")
        if self.status is None and given & {"headers", "body", "text"}:
            raise ValueError("an answer needs its 'status'")
        if "text" in given and "body" in given:
            raise ValueError("an answer has a 'body' or a 'text', never both")
        if self.status is None and not self.drop:
            if not self.latency_s:
                raise ValueError("nothing would go wrong: give 'status', 'drop' or 'latency_s'")
            if self.after_storing:
                raise ValueError("'after_storing' needs 'status' or 'drop'")
        return self

    @property
    def replaces_reply(self) -> bool:
        """Whether the usual answer is not sent."""
        return self.drop or self.status is not None

    def reply(self) -> Reply:
        """Return the answer that is sent instead of the usual one."""
        if self.drop:
            return Reply(drop=True)
        status = self.status or HTTPStatus.OK
        if self.text is not None:
            return Reply(
                status=status,
                body=self.text.encode(),
                content_type="text/html; charset=utf-8",
                headers=self.headers,
            )
        body = json_reply(self.body).body
        return Reply(status=status, body=body, headers=self.headers)


@dataclass(slots=True)
class _Rule:
    failure: Failure
    passed: int = 0
    used: int = 0


class Failures:
    """The rules in force. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []
        self._latency_s: dict[str, float] = {}

    def add(self, *failures: Failure) -> None:
        """Append rules."""
        with self._lock:
            self._rules.extend(_Rule(failure) for failure in failures)

    def clear(self) -> None:
        """Remove all rules; latency stays."""
        with self._lock:
            self._rules.clear()

    def set_latency(self, seconds: float, endpoint: str = "any") -> None:
        """Let every answer of an endpoint, or of all, wait; 0 ends it."""
        with self._lock:
            self._latency_s[endpoint] = seconds

    def latency_s(self, endpoint: str) -> float:
        """Return how long an endpoint's answers wait."""
        with self._lock:
            return self._latency_s.get(endpoint, self._latency_s.get("any", 0.0))

    def latencies(self) -> dict[str, float]:
        """Return the latency by endpoint."""
        with self._lock:
            return dict(self._latency_s)

    def take(self, endpoint: str, project: str | None) -> Failure | None:
        """Return what goes wrong with this request and count it."""
        with self._lock:
            for rule in self._rules:
                failure = rule.failure
                if failure.endpoint not in {"any", endpoint}:
                    continue
                if failure.project not in {None, project}:
                    continue
                if rule.passed < failure.skip:
                    rule.passed += 1
                    continue
                if failure.times is None or rule.used < failure.times:
                    rule.used += 1
                    return failure
            return None

    def pending(self) -> Sequence[tuple[Failure, int]]:
        """Return the rules with how often each was used, spent ones included."""
        with self._lock:
            return [(rule.failure, rule.used) for rule in self._rules]
