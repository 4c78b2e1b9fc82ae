"""`python -m facevitals`: the command line."""

from facevitals.cli.app import main

if __name__ == "__main__":
    main()
