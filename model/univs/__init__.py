"""Unified video segmentation with prompts as queries."""
