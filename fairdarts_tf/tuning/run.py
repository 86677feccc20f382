"""A whole tuning, in a directory that it can go on in, alone or as one of several workers.

Several workers are KerasTuner's own: a chief, which chooses the trials and keeps the results, and workers, which run
them. Environment variables say who is who; see docs/tuning.md.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping

import grpc
import keras_tuner

from fairdarts_tf.cluster import read_cluster
from fairdarts_tf.errors import ConfigurationError, RunError, WorkerLostError
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.history import Row
from fairdarts_tf.runs import Run
from fairdarts_tf.settings_checks import default_flags
from fairdarts_tf.tuning.hypermodel import RunHyperModel
from fairdarts_tf.tuning.oracles import oracle_for
from fairdarts_tf.tuning.outcome import Judgement, TrialStopped
from fairdarts_tf.tuning.places import PROJECT
from fairdarts_tf.tuning.results import Trials
from fairdarts_tf.tuning.roles import ADDRESS, PORT, Role, role
from fairdarts_tf.tuning.settings import TuningSettings
from fairdarts_tf.tuning.tuner import EndOfTuning, RunTuner

CHIEF_SECONDS = 600
"""How long a worker waits for the chief to begin."""


@dataclasses.dataclass(frozen=True)
class TuningResult:
    """What a tuning came to.

    Attributes:
        trials: All trials, as a table and more; None on a worker, whose chief has them.
        stopped_by: The signal that stopped it early, or None.
    """

    trials: Trials | None
    stopped_by: signal.Signals | None = None

    @property
    def rows(self) -> list[Row]:
        """A row for each trial, the best first."""
        return self.trials.rows() if self.trials else []

    @property
    def genotype(self) -> AnyGenotype | None:
        """The genotype of the best trial; None where there is none, or it was given."""
        return self.trials.genotype() if self.trials else None


def run_tuning(settings: TuningSettings, hypermodel: RunHyperModel, workdir: str | os.PathLike[str]) -> TuningResult:
    """Tunes, or goes on with the tuning that ``workdir`` holds.

    Leaves ``trials.csv``, ``best.flags``, a directory for each trial, KerasTuner's own and event files for TensorBoard.
    A trial that comes to nothing, as a search of which nothing can be derived, is recorded as failed, and others go on.

    Args:
        settings: How trials are chosen and judged.
        hypermodel: What is tuned: `SearchHyperModel`, `TrainHyperModel` or `GenotypeHyperModel`.
        workdir: The directory; made if absent.

    Returns:
        What the trials came to. After a signal, SIGINT too, its ``stopped_by`` says so.

    Raises:
        FairDartsError: When settings, data or directory are unfit. What trials have saved until then is intact.
        WorkerLostError: When the chief is gone.

    Example:
        >>> model = fd.tuning.GenotypeHyperModel(
        ...     fd.DartsSpace(nodes=1), init_channels=2, layers=3, epochs=1, steps_per_epoch=2, batch_size=50
        ... )
        >>> result = fd.run_tuning(fd.TuningSettings(what="genotype", trials=1), model, "runs/tuned")
        >>> len(result.rows), result.genotype.kinds
        (1, ('normal', 'reduce'))
    """
    if not isinstance(settings, TuningSettings) or not isinstance(hypermodel, RunHyperModel):
        raise ConfigurationError(
            f"a tuning needs TuningSettings and a hypermodel, as SearchHyperModel, but was given {settings!r:.80} and "
            f"{hypermodel!r:.80}."
        )
    if read_cluster().has_several:
        raise ConfigurationError(
            "a trial runs on one machine, but TF_CONFIG names several workers. Unset it; docs/tuning.md says how "
            "trials run side by side."
        )
    own = role()
    flags = settings.as_flags() | hypermodel.as_flags()
    with Run(workdir, default_flags(TuningSettings) | hypermodel.defaults, writes=own is not Role.WORKER) as run:
        run.check(flags)
        run.open(flags)
        if own is Role.WORKER:
            _wait_for_chief(run, flags)
        return _tune(settings, hypermodel, run, own)


def _tune(settings: TuningSettings, hypermodel: RunHyperModel, run: Run, own: Role) -> TuningResult:
    hp = keras_tuner.HyperParameters()
    hypermodel.declare_hyperparameters(hp)
    oracle = oracle_for(settings, hp, hypermodel.epochs)
    trials = Trials(oracle, hypermodel, run.workdir)
    oracle.on_end = trials.write
    oracle.verbose = 0
    judgement = Judgement(settings.objective_cost, settings.objective_cost_weight, *hypermodel.latency)
    # What KerasTuner prints is of no use to a program that reads the results; its chief prints it for every trial.
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere if own is Role.CHIEF else sys.stderr):
        with _broken_files_named(run):
            tuner = RunTuner(oracle, hypermodel, judgement, run.workdir)
        stopped_by = _search(tuner, own)
    if own is Role.WORKER:
        return TuningResult(None, stopped_by)
    trials.write()
    return TuningResult(trials, stopped_by)


def _search(tuner: RunTuner, own: Role) -> signal.Signals | None:
    """Runs trials, or hands them out, until there are no more; returns the signal that ended it before."""
    try:
        tuner.search()
    except EndOfTuning as end:
        if isinstance(end.__cause__, TrialStopped):
            return end.__cause__.signal
        raise end.__cause__ from None
    except grpc.RpcError as error:
        raise WorkerLostError(
            f"the chief of the tuning does not answer: {error.details() if hasattr(error, 'details') else error}. "
            "Start it again, and this worker too; both go on where they stopped."
        ) from None
    except RuntimeError as error:
        if own is not Role.CHIEF:
            raise
        raise ConfigurationError(
            f"{ADDRESS}, {PORT}: {error}. Choose an address of this machine and a free port."
        ) from error
    return None


@contextlib.contextmanager
def _broken_files_named(run: Run) -> Iterator[None]:
    """Raises a RunError where KerasTuner's files of an earlier start cannot be read."""
    try:
        yield
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise RunError(
            f"{run.workdir / PROJECT} cannot be read ({reason:.200}). Restore it, or tune in another --workdir; the "
            f"runs in {run.workdir / 'trials'} are whole."
        ) from error


def _wait_for_chief(run: Run, flags: Mapping[str, str]) -> None:
    """Waits until the chief has made the directory, which a worker must see too.

    Raises:
        RunError: When it does not appear, or is of another tuning.
    """
    until = time.monotonic() + CHIEF_SECONDS
    while run.settings() is None:
        if time.monotonic() > until:
            raise RunError(
                f"--workdir={run.workdir} is not there after {CHIEF_SECONDS // 60} minutes. Start the chief; all "
                "workers need the same directory, on a disk that they share."
            )
        time.sleep(0.5)
    run.check(flags)
