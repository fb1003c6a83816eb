"""Figures, tables and a report from run folders and studies."""
