"""Ablations: variants of the network, trained and measured at a small scale, the paper's tables beside ours."""
