"""The same training step in this project's engine and in other libraries, measured side by side.

A peer is one of the compared libraries. `case` describes the work, `libraries` has a file for each
peer, `worker` measures one peer in a process of its own, `harness` lets all peers take turns, and
`table` writes and prints the results.
"""
