"""What can go wrong with the index."""

from __future__ import annotations

from flatdata.errors import FlatdataError


class BrokenWords(FlatdataError):
    """Whoosh cannot read or write its files."""
