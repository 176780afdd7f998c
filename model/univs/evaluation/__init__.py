"""Measures of segmentation, and the loop that drives a segmenter over a data set."""
