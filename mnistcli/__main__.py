"""Run mnistcli as `python -m mnistcli`."""

import sys

if __name__ == "__main__":
    # Python puts the current folder first, where a user's json.py would be imported as Python's.
    if not sys.flags.safe_path:
        del sys.path[0]

    from mnistcli.cli.app import run_program

    run_program()
