"""What flatdata costs, measured: see README.md here."""
