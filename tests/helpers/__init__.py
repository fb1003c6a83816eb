"""What tests share: datasets, networks, runs, and exact networks to compare with."""
