"""Bubble's Data API: things at `/api/1.1/obj`."""
