"""The paper's training stages: clips decoded whole, learnable and prompt queries side by side."""
