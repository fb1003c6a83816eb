"""Training: the loop, resuming, evaluation, cross-validation."""
