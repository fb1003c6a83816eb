"""What the cuda backend does on a GPU: the bits that it has emulated on a CPU, and how fast.

`cases` are networks whose digests are recorded, `measure` measures, `command` does everything
within a time limit and leaves one table.
"""
