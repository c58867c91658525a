"""The APIs flatdata speaks: one folder each, none knowing of another."""
