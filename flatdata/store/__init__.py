"""What is kept: paths, codec, entries, the change log, and what is read from them."""
