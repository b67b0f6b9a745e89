"""Tests of `mnistcli.export`."""
