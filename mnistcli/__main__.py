"""Lets `python -m mnistcli` do what `mnistcli` does."""

from mnistcli.cli.app import main

if __name__ == "__main__":
    main()
