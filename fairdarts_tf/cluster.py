"""Which machines, or processes, work together on a run: what TF_CONFIG says."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping

from fairdarts_tf.errors import ConfigurationError

VARIABLE = "TF_CONFIG"


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A group of workers, and this one's place among them.

    Attributes:
        workers: The addresses (host:port) of all, the chief's first.
        index: This worker's place.
    """

    workers: tuple[str, ...] = ("",)
    index: int = 0

    @property
    def is_chief(self) -> bool:
        """Whether this worker is the first, which alone writes."""
        return self.index == 0

    @property
    def has_several(self) -> bool:
        """Whether there are other workers."""
        return len(self.workers) > 1


def read_cluster(environment: Mapping[str, str] = os.environ) -> Cluster:
    """Returns the cluster that the environment variable TF_CONFIG describes, or that of this process alone.

    Raises:
        ConfigurationError: When it describes no cluster of workers.
    """
    text = environment.get(VARIABLE, "").strip()
    if not text:
        return Cluster()
    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        raise _unfit("is no JSON") from None
    cluster = config.get("cluster") if isinstance(config, dict) else None
    if not cluster:
        return Cluster()
    if not isinstance(cluster, dict) or set(cluster) - {"chief", "worker", "evaluator"}:
        raise _unfit('has other roles than "chief" and "worker"')
    addresses = {role: _addresses(cluster.get(role, [])) for role in ("chief", "worker")}
    workers = (*addresses["chief"], *addresses["worker"])
    if len(addresses["chief"]) > 1 or not workers or len(set(workers)) < len(workers):
        raise _unfit("must name at most one chief and at least one worker, each once")
    task = config.get("task")
    role, index = (task.get("type"), task.get("index")) if isinstance(task, dict) else (None, None)
    if not isinstance(role, str) or role not in addresses or not _is_index(index) or int(index) >= len(addresses[role]):
        raise _unfit("must say by its task which of the workers this one is")
    return Cluster(workers, int(index) + (len(addresses["chief"]) if role == "worker" else 0))


def _addresses(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and _is_address(item) for item in value):
        raise _unfit("must list addresses as HOST:PORT")
    return tuple(value)


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isdecimal() and port.isascii() and 0 < int(port) < 65536


def _is_index(value: object) -> bool:
    if isinstance(value, str):
        return value.isascii() and value.isdecimal() and len(value) < 10
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _unfit(what: str) -> ConfigurationError:
    return ConfigurationError(
        f'the environment variable {VARIABLE} {what}. Expected: {{"cluster": {{"worker": ["HOST:PORT", ...]}}, "task": '
        f'{{"type": "worker", "index": 0}}}}. See docs/scaling.md, or unset it to run on this machine alone.'
    )
