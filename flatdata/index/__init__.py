"""Where it is found: Whoosh, the structures in memory, the planner, and the keeper that follows the disk."""
