"""The command line: ``shoal COMMAND``."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path


def main() -> None:
    """Run the command line; errors that a user can mend are one line, not a traceback."""
    from shoal.errors import ShoalError
    from shoal.run import first_process

    if not first_process():  # of several under torchrun, one speaks
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    try:
        from shoal.cli.app import program

        program()()
    except ShoalError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("interrupted; nothing was left half written", 130)
    except BrokenPipeError:  # `shoal … | head`
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:  # a disk that is full or read-only, a folder that is none
        _fail(str(error), 2)


def _fail(message: str, code: int) -> None:
    if "--json" in sys.argv:
        import json

        print(json.dumps({"error": message}))  # noqa: T201
    else:
        print(f"error: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(code)
