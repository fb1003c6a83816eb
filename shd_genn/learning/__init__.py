"""What is minimised, and how: objective, optimisers, schedules, training methods."""
