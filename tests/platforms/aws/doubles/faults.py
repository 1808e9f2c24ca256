"""Faults of a service: calls that it turns away, and answers that get lost after the call has had its effect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from moto.core.exceptions import JsonRESTError


@dataclass
class Fault:
    """What happens to the next calls of an operation."""

    operation: str
    code: str
    status: int
    times: int
    is_late: bool

    def error(self) -> JsonRESTError:
        error = JsonRESTError(self.code, f"{self.operation} is made to fail")
        error.code = self.status
        return error


class Faults:
    """The faults of one service, and how often each of its operations was called."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}
        self._waiting: list[Fault] = []

    def refuse(self, operation: str, code: str = "ThrottlingException", times: int = 1, status: int = 400) -> None:
        """Turns the next calls away."""
        self._waiting.append(Fault(operation, code, status, times, is_late=False))

    def lose_answer(self, operation: str, times: int = 1) -> None:
        """Answers the next calls with an internal error, after they have had their effect."""
        self._waiting.append(Fault(operation, "InternalServiceException", 500, times, is_late=True))

    def install(self, patch: pytest.MonkeyPatch, response: type, *operations: str) -> None:
        """Puts the faults between the callers and moto's operations (its own names: `start_job_run`)."""
        for operation in operations:
            patch.setattr(response, operation, self._faulty(operation, getattr(response, operation)))

    def _faulty(self, operation: str, original: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def call(response: Any) -> Any:
            self.calls[operation] = self.calls.get(operation, 0) + 1
            fault = self._next(operation)
            if fault is not None and not fault.is_late:
                raise fault.error()
            answer = original(response)
            if fault is not None:
                raise fault.error()
            return answer

        return call

    def _next(self, operation: str) -> Fault | None:
        for fault in self._waiting:
            if fault.operation == operation and fault.times > 0:
                fault.times -= 1
                return fault
        return None
