"""Writers of the files that evaluation servers take, each with a reader that gives back what was written."""
