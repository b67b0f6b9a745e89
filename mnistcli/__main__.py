"""Run mnistcli as `python -m mnistcli`."""

from mnistcli.cli.app import main

if __name__ == "__main__":
    main()
