"""Errors with the kinds of the engine protocol."""

from __future__ import annotations

import os
import sysconfig
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


#: Folders of code that is not the user's: tandem's own, installed packages, Python's library.
_FOREIGN = tuple(
    os.path.realpath(folder) + os.sep
    for folder in (os.path.dirname(__file__), *(sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")))
)


def user_trace(error: BaseException) -> str:
    """Return the lines of the user's own code that an exception and its causes came through, as Python shows them.

    It is empty where there are none: then the message says it all, and where tandem or PyTorch noticed helps nobody.
    """
    lines: list[str] = []
    present: BaseException | None = error
    while present is not None:
        for frame in traceback.extract_tb(present.__traceback__):
            if frame.filename.startswith("<") or os.path.realpath(frame.filename).startswith(_FOREIGN):
                continue
            lines += [line for line in traceback.format_list([frame]) if line not in lines]
        present = present.__cause__ or present.__context__
    return "".join(lines)


def describe(error: BaseException) -> dict[str, str]:
    """Return an exception as the protocol's error object; what is not an EngineError is the engine's own fault."""
    trace = "".join(traceback.format_exception(error))
    if isinstance(error, InputError) and isinstance(error.__cause__, OSError):
        # A full disk or a missing file: the message says it all, and Python's lines help nobody.
        return {"kind": error.kind, "message": error.message, "detail": error.detail}
    if isinstance(error, InputError) or (isinstance(error, UnsupportedError) and error.__cause__ is None):
        return {"kind": error.kind, "message": error.message, "detail": error.detail or user_trace(error)}
    if isinstance(error, UnsupportedError):  # what another program refused: without a line of the user's, all may help
        return {"kind": error.kind, "message": error.message, "detail": error.detail or user_trace(error) or trace}
    if isinstance(error, EngineError):
        return {"kind": error.kind, "message": error.message, "detail": error.detail or trace}
    text = str(error).strip() or "no message"
    return {"kind": INTERNAL, "message": f"{type(error).__name__}: {text}", "detail": trace}
