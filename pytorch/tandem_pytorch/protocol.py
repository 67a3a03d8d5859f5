"""The engine protocol's lines: requests on standard input, answers on standard output."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable
from typing import IO, Any

from .errors import INPUT, UNSUPPORTED, InputError, UnsupportedError, describe

#: The protocol's version.
VERSION = 1

Command = Callable[[dict[str, Any]], dict[str, Any]]


def number(value: float) -> float | str:
    """Return a float as the protocol's JSON writes it: NaN and the infinities as strings."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def claim_streams() -> tuple[IO[bytes], IO[bytes]]:
    """Keep standard input and output for the protocol and return them.

    What the user's code or a library prints goes to standard error instead, below Python too; what it reads is empty.
    """
    sys.stdout.flush()
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, answers


def respond(answer: Callable[[], tuple[dict[str, Any], int]]) -> int:
    """Run a command that answers once, with one line of JSON on standard output; return its exit status."""
    _, answers = claim_streams()
    try:
        result, status = answer()
    except KeyboardInterrupt:
        return 130
    answers.write(json.dumps(result).encode() + b"\n")
    return status


def failure(described: dict[str, str]) -> tuple[dict[str, Any], int]:
    """Return the answer and the exit status of a command that failed: 2 where the user's input is at fault, else 3."""
    return {"error": described}, 2 if described["kind"] in (INPUT, UNSUPPORTED) else 3


def serve(commands: dict[str, Command], requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer requests in order until ``quit`` or the end of the input. Waiting blocks in the system's read."""
    while line := requests.readline():
        if not line.strip():
            continue
        identifier: Any = 0
        quitting = False
        try:
            request = _parse(line)
            identifier = request.get("id", 0)
            name = request.get("command")
            quitting = name == "quit"
            answer = {"id": identifier, "result": {} if quitting else _run(commands, name, request)}
            text = json.dumps(answer, allow_nan=False, separators=(",", ":"))
        except Exception as error:
            text = json.dumps({"id": identifier, "error": describe(error)}, separators=(",", ":"))
        try:
            answers.write(text.encode() + b"\n")
            answers.flush()
        except BrokenPipeError:
            return  # nobody reads any more
        if quitting:
            return


def _parse(line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
    except ValueError as error:
        raise InputError(f"a request is not JSON: {error}") from error
    if not isinstance(request, dict):
        raise InputError("a request must be a JSON object")
    return request


def _run(commands: dict[str, Command], name: Any, request: dict[str, Any]) -> dict[str, Any]:
    command = commands.get(name) if isinstance(name, str) else None
    if command is None:
        raise UnsupportedError(f"command {name!r} is none of {', '.join([*commands, 'quit'])}")
    params = request.get("params")
    if params is None:
        params = {}
    if not isinstance(params, dict):
        raise InputError(f"the params of {name} must be a JSON object")
    return command(params)


def field(params: dict[str, Any], name: str, kind: type, default: Any = None) -> Any:
    """Return a field of a request's params; without a default it must be there."""
    value = params.get(name, default)
    if value is None:
        raise InputError(f'the request lacks "{name}"')
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise InputError(f'"{name}" is {value!r}, not {kind.__name__}')
    return value
