"""The segmenters of the service driven over benchmarks: their answers as the files that servers and scoring take."""
