"""`python -m shd_genn.sweep`: search for good settings with an Optuna study.

Each worker imports this file as it starts, but needs no command: all imports are in functions.
"""


def main() -> None:
    """Run a study as the command line says."""
    from shd_genn.sweep.command import main as search

    search()


if __name__ == "__main__":
    from shd_genn.support.cli import command

    command(main)
