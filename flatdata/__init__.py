"""flatdata: YAML files in a tree, served live through four HTTP APIs."""

from typing import Final

__version__: Final = "0.1.0"
