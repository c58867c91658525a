"""The files of a new site: a garden, small enough to be read at once and deleted without regret."""

from __future__ import annotations

from typing import Final

GIT_IGNORE: Final = ".gitignore"
SAMPLE_FILES: Final = {
    GIT_IGNORE: """\
# Derived from the files, and running counts of calls; can be deleted while the server is down.
.flatdata/
__pycache__/
""",
    "content/plants/entry.yaml": """\
title: Plants
summary: What grows here, one entry for each.
""",
    "content/plants/tomato/entry.yaml": """\
title: Tomato
family: nightshades
height_cm: 180
edible: true
sow: 2025-03-10
tags: [warm, thirsty]
neighbours:
  good: [basil, chives]
  bad: [fennel]
""",
    "content/plants/tomato/varieties/black-plum.yaml": """\
title: Black Plum
fruit: small, dark, keeps well
days_to_harvest: 82
""",
    "content/plants/nasturtium/entry.md": """\
---
title: Nasturtium
family: nasturtiums
height_cm: 40
edible: true
tags: [undemanding, climbing]
---
Sow it where it is to stay and leave it alone: on rich soil it makes nothing but leaves.

Flowers and leaves taste of *cress*; lice prefer it to the beans beside it.
""",
    "content/plants/chives.yaml": """\
# An entry may be a single file, too.
title: Chives
family: onions
height_cm: 30
edible: true
tags: [undemanding]
""",
    "content/beds/manifest.yaml": """\
# This file makes the folder a data source, whose rows are the files beside it.
id: 1
name: Beds
columns: [name, plant, square_metres]
type: null
public: false
encrypted: false
hooks: []
definition: {}
access_rules: null
permissions: {}
app_id: null
organization_id: 1
created_at: '2025-02-01T09:00:00.000Z'
updated_at: '2025-02-01T09:00:00.000Z'
""",
    "content/beds/11.yaml": """\
name: By the wall
plant: plants/tomato
square_metres: 3.5
""",
    "content/beds/12.yaml": """\
name: Old bathtub
plant: plants/chives
square_metres: 1
""",
    "content/beds/13.yaml": """\
name: Fence, north side
plant: plants/nasturtium
square_metres: 4
""",
}
"""What each file says, by its path in the site."""
