"""``python -m transfuse`` is the command line."""

from transfuse.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
