"""Which part this process has in a tuning: what KerasTuner's environment variables say."""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping

from fairdarts_tf.errors import ConfigurationError

TUNER_ID, ADDRESS, PORT = "KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"


class Role(enum.Enum):
    """A process's part in a tuning."""

    ALONE = "alone"
    CHIEF = "chief"
    WORKER = "worker"


def role(environment: Mapping[str, str] = os.environ) -> Role:
    """Returns the part of this process.

    Raises:
        ConfigurationError: When only some of the variables are set, or the port is none.
    """
    values = {name: environment.get(name, "").strip() for name in (TUNER_ID, ADDRESS, PORT)}
    if not values[ADDRESS] and not values[PORT]:
        return Role.ALONE
    missing = [name for name, value in values.items() if not value]
    if missing:
        raise ConfigurationError(
            f"of the environment variables {', '.join(values)} {missing[0]} is not set. Set all three, on the chief "
            "and on each worker, or none; see docs/tuning.md."
        )
    if not (values[PORT].isascii() and values[PORT].isdecimal() and 0 < int(values[PORT]) < 65536):
        raise ConfigurationError(f"{PORT} is {values[PORT]!r}, but must be a port from 1 to 65535.")
    # As KerasTuner itself tells them apart.
    return Role.CHIEF if "chief" in values[TUNER_ID] else Role.WORKER
