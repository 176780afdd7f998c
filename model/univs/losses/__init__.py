"""Training losses: masks at sampled points, matching, classes against text, identity, presence."""
