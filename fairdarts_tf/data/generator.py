"""The random generator of all data: named, since TensorFlow's default one depends on the device."""

from __future__ import annotations

GENERATOR = "philox"
