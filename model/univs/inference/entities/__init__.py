"""Objects found by category: detected by learnable queries, followed as prompts, answered as the task asks."""
