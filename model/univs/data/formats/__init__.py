"""Readers: one file per official layout on disk. Names of data sets live here and in `catalog` only."""
