"""The same work through this project's engine and through what a user would otherwise pick.

`case` says what the work is, `peers` holds a file for each library, `worker` measures one of them
in a process of its own, `harness` lets them take turns, `table` shows what came out.
"""
