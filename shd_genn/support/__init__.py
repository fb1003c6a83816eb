"""What every room uses: errors, the command line, progress, files, the C++ builder."""
