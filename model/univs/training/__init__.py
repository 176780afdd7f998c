"""Training: recipes, the rollout of a clip, the criterion, the loop around them."""
