"""Runs pytest on the files named on the command line; the program of the test targets in BUILD."""

from __future__ import annotations

import sys

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main(["-q", *sys.argv[1:]]))
