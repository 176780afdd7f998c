"""Building blocks, one to a file."""
