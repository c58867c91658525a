"""What went wrong, as one line for people and a status for scripts."""

from __future__ import annotations

import click

from flatdata.settings import FILE_NAME, SettingsError

FAILED, MISUSED, INTERRUPTED = 1, 2, 130


def failure_line(error: BaseException) -> str:
    """One line that says what went wrong and, for a command that was not understood, where to read on.

    Empty where nobody is left to read it.
    """
    if isinstance(error, BrokenPipeError):
        return ""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        path = error.ctx.command_path
        return f"{path}: {_in_one_line(error.format_message())} (see: {path} --help)"
    return f"flatdata: {_in_one_line(_words(error))}"


def _words(error: BaseException) -> str:
    if isinstance(error, click.Abort):
        return "interrupted"
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, SettingsError) and error.name == FILE_NAME and error.line:
        return f"{FILE_NAME}:{error.line}: {error.reason}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return str(error)


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


def failure_status(error: BaseException) -> int:
    """The status to exit with."""
    if isinstance(error, click.Abort):
        return INTERRUPTED
    return MISUSED if isinstance(error, click.UsageError) else FAILED
