"""Two replicas compute what one device computes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent


def test_two_replicas_equal_one_device():
    """In a process of its own, since logical devices must be set before TensorFlow starts."""
    environment = os.environ | {"PYTHONPATH": str(TESTS.parent), "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(
        [sys.executable, str(TESTS / "mirrored_search.py")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    found = json.loads(result.stdout.splitlines()[-1])
    print(found)
    assert found["clipped"] and found["steps"] == 3 and found["moved"] > 1e-3
    assert {"train_loss", "search_loss", "zero_one"} <= set(found["names"])
    assert found["state"] < 1e-5 and found["logs"] < 1e-5
