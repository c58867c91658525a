"""The root of flatdata's exceptions. Each floor defines its own below it, beside the code that raises it."""


class FlatdataError(Exception):
    """Something flatdata refuses or cannot do. Subclasses carry the facts; the doors make the words."""
