"""Scores of predictions in files, in the formats of the evaluation servers, against the annotation of a data set."""
