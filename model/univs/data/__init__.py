"""Data sets as typed sources, and the clips, prompts and batches made from them."""
