"""Reading TensorBoard's event files back, as TensorBoard itself does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups


def events_of(workdir: Path) -> EventAccumulator:
    """Returns all events of a run."""
    accumulator = EventAccumulator(str(workdir / "tensorboard"), size_guidance={"tensors": 0})
    accumulator.Reload()
    return accumulator


def tags_of(events: EventAccumulator) -> set[str]:
    return set(events.Tags()["tensors"])


def scalars(events: EventAccumulator, tag: str) -> dict[int, float]:
    """Returns a scalar by step."""
    return {event.step: float(tf.make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)}


def histogram_counts(events: EventAccumulator, tag: str) -> dict[int, float]:
    """Returns by step of how many values a histogram is."""
    return {event.step: float(np.sum(tf.make_ndarray(event.tensor_proto)[:, 2])) for event in events.Tensors(tag)}


def hparams_table(logdir: Path) -> list[dict[str, object]]:
    """Returns what the tab HParams shows of all runs under a directory: of each its settings, metrics and state."""
    multiplexer = EventMultiplexer(tensor_size_guidance={"scalars": 0})
    multiplexer.AddRunsFromDirectory(str(logdir))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(logdir))
    context = backend_context.Context(base_plugin.TBContext(logdir=str(logdir), data_provider=provider))
    request = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=100,
        allowed_statuses=[
            api_pb2.STATUS_SUCCESS,
            api_pb2.STATUS_RUNNING,
            api_pb2.STATUS_UNKNOWN,
            api_pb2.STATUS_FAILURE,
        ],
    )
    metrics = context.experiment_from_metadata(
        RequestContext(),
        "",
        False,
        context.hparams_metadata(RequestContext(), ""),
        context.hparams_from_data_provider(RequestContext(), "", limit=1000),
    ).metric_infos
    request.col_params.extend(api_pb2.ColParams(metric=info.name) for info in metrics)
    found = list_session_groups.Handler(RequestContext(), context, "", request).run()
    return [
        {
            "settings": {name: _value(value) for name, value in group.hparams.items()},
            "metrics": {value.name.tag: value.value for value in group.metric_values},
            "finished": [session.status == api_pb2.STATUS_SUCCESS for session in group.sessions],
        }
        for group in found.session_groups
    ]


def _value(value: object) -> object:
    return getattr(value, value.WhichOneof("kind"))
