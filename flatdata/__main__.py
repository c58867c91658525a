"""`python -m flatdata` is the command `flatdata`."""

from __future__ import annotations

from flatdata.cli import main

main()
