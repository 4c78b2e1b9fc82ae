"""`python -m facevitals`: the command line."""

from facevitals.cli import main

if __name__ == "__main__":
    main()
