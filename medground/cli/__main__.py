"""`python -m medground.cli`: the same as the command `medground`."""

from medground.cli.main import run

if __name__ == "__main__":
    run()
