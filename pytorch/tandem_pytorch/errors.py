"""Errors with the kinds of the engine protocol."""

from __future__ import annotations

import traceback

#: What the user gave is at fault.
INPUT = "input"
#: The engine cannot do this model or command.
UNSUPPORTED = "unsupported"
#: The engine is at fault.
INTERNAL = "internal"


class EngineError(Exception):
    """An error that travels in an answer: ``kind``, a message that says what to do, and a detail for --verbose."""

    kind = INTERNAL

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class InputError(EngineError):
    """What the user gave is at fault."""

    kind = INPUT


class UnsupportedError(EngineError):
    """The engine cannot do this model or command."""

    kind = UNSUPPORTED


def describe(error: BaseException) -> dict[str, str]:
    """Return an exception as the protocol's error object; what is not an EngineError is the engine's own fault."""
    trace = "".join(traceback.format_exception(error))
    if isinstance(error, InputError) and isinstance(error.__cause__, OSError):
        # A full disk or a missing file: the message says it all, and Python's lines help nobody.
        return {"kind": error.kind, "message": error.message, "detail": error.detail}
    if isinstance(error, EngineError):
        return {"kind": error.kind, "message": error.message, "detail": error.detail or trace}
    text = str(error).strip() or "no message"
    return {"kind": INTERNAL, "message": f"{type(error).__name__}: {text}", "detail": trace}
