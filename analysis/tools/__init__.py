"""What several figures share: reading, statistics, style, the command line, the report."""
