"""Spike trains in memory and in files."""
