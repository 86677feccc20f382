"""The command `benchmark` on the smallest sizes there are, with and without its peer."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import pytest

from fairdarts_tf.benchmarking import matmul, run
from fairdarts_tf.benchmarking.multiply_adds import every_operation, forward_multiply_adds, step_multiply_adds
from fairdarts_tf.benchmarking.processes import Worker
from fairdarts_tf.benchmarking.results import BenchmarkResult, ProgramResult, Ratios
from fairdarts_tf.benchmarking.settings import BenchmarkSettings
from fairdarts_tf.benchmarking.tables import benchmark_text
from fairdarts_tf.cli.benchmark import COMMAND, main
from fairdarts_tf.errors import ConfigurationError, RunError

PROJECT = Path(__file__).resolve().parents[1]
TINY = ["--init_channels=2", "--layers=3", "--batch_size=4", "--rounds=2", "--steps=2"]
PHASES = ["interpreter", "import", "build", "trace", "first step"]
needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="needs PyTorch: pip install 'fairdarts_tf[torch]'")


def benchmark(*flags: str) -> int:
    return COMMAND.execute(main, ["benchmark", *flags])


def measured(capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, object]:
    assert benchmark(*TINY, *flags, "--format=json") == 0
    return json.loads(capsys.readouterr().out)


def check(document: dict[str, object], name: str) -> None:
    """Checks that what is reported of a program agrees with itself."""
    program, settings = document["programs"][name], document["settings"]
    meetings = len(document["ratios"]) or 1 if name == "fairdarts_tf" else 1
    assert len(program["seconds_per_step_by_round"]) == meetings * settings["rounds"]
    assert program["seconds_per_step"] == median(program["seconds_per_step_by_round"]) > 0
    assert program["seconds_to_first_step"] == pytest.approx(sum(program["startup_seconds"].values()))
    assert all(seconds > 0 for seconds in program["startup_seconds"].values())
    assert program["peak_memory_bytes"] > 50e6
    images = settings["batch_size"] * (2 if settings["what"] == "search" else 1)
    assert program["images_per_second"] == pytest.approx(images / program["seconds_per_step"])
    operations = 2 * document["multiply_adds_per_step"] / program["seconds_per_step"]
    share = operations / document["matmul_operations_per_second"]
    assert program["share_of_matmul_peak"] == pytest.approx(share)
    assert 0 < share < 1


def test_search_alone(capsys):
    document = measured(capsys, "--peer=none", "--image_size=8")
    check(document, "fairdarts_tf")
    program = document["programs"]["fairdarts_tf"]
    assert list(program["startup_seconds"]) == PHASES
    assert program["seconds_per_half"].keys() == {"alphas", "weights"}
    assert all(seconds > 0 for seconds in program["seconds_per_half"].values())
    assert document["ratios"] == {}


@pytest.mark.parametrize(("what", "size"), [("train", 32), ("inference", 8)])
def test_found_network_alone(capsys, what, size):
    document = measured(capsys, "--peer=none", f"--what={what}", f"--image_size={size}")
    check(document, "fairdarts_tf")
    assert list(document["programs"]["fairdarts_tf"]["startup_seconds"]) == PHASES
    assert document["programs"]["fairdarts_tf"]["seconds_per_half"] == {}


@needs_torch
@pytest.mark.parametrize(("what", "size"), [("search", 8), ("train", 32), ("inference", 8)])
def test_beside_both_peers(capsys, monkeypatch, what, size):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # its threads crawl where other programs use the processor too
    flags = ["--peer=torch,torch_channels_last", f"--what={what}", f"--image_size={size}", "--nohalves", "--starts=2"]
    document = measured(capsys, *flags)
    assert list(document["programs"]) == ["fairdarts_tf", "torch", "torch_channels_last"]
    ours = document["programs"]["fairdarts_tf"]
    check(document, "fairdarts_tf")
    for number, (name, ratio) in enumerate(document["ratios"].items()):
        check(document, name)
        peer = document["programs"][name]
        met = median(ours["seconds_per_step_by_round"][2 * number : 2 * number + 2])
        assert ratio["times_as_fast"] == pytest.approx(peer["seconds_per_step"] / met)
        assert ratio["share_of_memory"] == pytest.approx(ours["peak_memory_bytes"] / peer["peak_memory_bytes"])
    assert document["programs"]["torch_channels_last"]["about"]["memory_format"] == "channels_last"


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (["--peer=tourch"], "Did you mean 'torch'?"),
        (["--peer=none,torch"], "none alone"),
        (["--peer="], "none alone"),
        (["--what=searching"], "Did you mean 'search'?"),
        (["--rounds=0"], "--rounds is 0"),
        (["--init_channels=-1"], "--init_channels is -1"),
        (["--image_size=3"], "--image_size is 3"),
        (["--batch_size=many"], "batch_size"),
        (["--format=xml"], "format"),
        (["--what=train", "--genotype=FairDARTS_z"], "unknown genotype"),
        (["now"], "unexpected argument 'now'"),
        # What only the program itself can tell reaches the user all the same.
        (["--peer=none", "--what=train", "--image_size=8"], "--cutout=16 is wider than the images"),
    ],
)
def test_bad_input_is_one_line(capsys, flags, part):
    assert benchmark(*flags) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert part in output.err


def test_without_torch(capsys, monkeypatch):
    monkeypatch.setattr(run, "find_spec", lambda name: None)
    assert benchmark("--peer=torch") == 2
    assert re.search(r"pip install 'fairdarts_tf\[torch\]'.*--peer=none", capsys.readouterr().err)


def test_installed_without_the_checkout(monkeypatch, tmp_path):
    monkeypatch.setattr(run, "find_spec", lambda name: object())
    monkeypatch.setattr(run, "PROJECT", tmp_path)
    with pytest.raises(ConfigurationError, match="part of a checkout"):
        run.check_peers(("torch",))
    run.check_peers(())


def test_help_needs_no_tensorflow():
    code = (
        "import sys; from fairdarts_tf.cli.benchmark import COMMAND, main; "
        "code = COMMAND.execute(main, ['benchmark', '--help']); "
        "sys.exit(code or bool({'tensorflow', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=PROJECT)
    assert done.returncode == 0
    for name in ("what", "peer", "init_channels", "layers", "batch_size", "image_size", "rounds", "steps", "format"):
        assert f"--{name}" in done.stdout or f"--[no]{name}" in done.stdout


def test_sizes_that_are_not_given_are_the_usual():
    assert BenchmarkSettings().to_json() == BenchmarkSettings(init_channels=16, layers=8, batch_size=64).to_json()
    training = BenchmarkSettings(what="train", batch_size=8)
    assert (training.init_channels, training.layers, training.batch_size) == (36, 20, 8)
    assert BenchmarkSettings.from_json(training.to_json()) == training


def test_supernet_costs_every_operation_on_every_edge():
    assert len(every_operation().normal) == 14 * 7
    settings = BenchmarkSettings(init_channels=4, layers=3, batch_size=2)
    assert step_multiply_adds(settings) == 6 * 2 * forward_multiply_adds(settings)


def test_supernet_counts_agree_with_its_kernels():
    """Each tap of a kernel is multiplied once for each pixel of the output."""
    from fairdarts_tf.reference_weights import read_reference_state
    from fairdarts_tf.spaces.darts import DartsSpace

    space = DartsSpace(init_channels=4, layers=5)
    kernels = {
        name: value.size
        for name, value in read_reference_state(space.supernet((16, 16, 3), 10)).items()
        if name.endswith("weight") and value.ndim > 1
    }

    def pixels(name: str) -> int:
        match = re.match(r"cells\.(\d+)\.(preprocess)?", name)
        cell, aligns = (int(match[1]), bool(match[2])) if match else (-1, False)
        halvings = sum(cell > reduction or (cell == reduction and not aligns) for reduction in space.reductions)
        return (16 >> halvings) ** 2

    classifier = kernels.pop("classifier.weight")
    settings = BenchmarkSettings(init_channels=4, layers=5, batch_size=1, image_size=16)
    total = classifier + sum(size * pixels(name) for name, size in kernels.items())
    assert forward_multiply_adds(settings) == total


def test_waiting_costs_no_time_of_the_processor():
    with Worker("the matrix product", matmul.__name__, ("CPU",)) as worker:
        worker.seconds("step")
        time.sleep(0.5)  # threads of linear algebra may look for work a while
        before = processor_seconds(worker)
        time.sleep(1)
        assert processor_seconds(worker) - before < 0.05
        assert worker.seconds("step") > 0


def processor_seconds(worker: Worker) -> float:
    status = Path(f"/proc/{worker._process.pid}/stat")
    if not status.exists():
        pytest.skip("needs /proc")
    return sum(map(int, status.read_text().rsplit(")", 1)[1].split()[11:13])) / 100


def test_program_that_ends_early_is_told():
    with pytest.raises(RunError, match=r"the program cannot be measured: ModuleNotFoundError.*nowhere"):
        Worker("the program", "nowhere.at_all")
    with (
        Worker("the matrix product", matmul.__name__, ("CPU",)) as worker,
        pytest.raises(RunError, match="KeyError: 'sum'"),
    ):
        worker.seconds("sum")


def test_killed_program_is_told():
    with Worker("the matrix product", matmul.__name__, ("CPU",)) as worker:
        worker._process.kill()
        worker._process.wait()
        with pytest.raises(RunError, match="memory ran out"):
            worker.seconds("step")


def test_interrupt_ends_all_processes():
    command = [sys.executable, "-m", "fairdarts_tf.cli.benchmark", "--peer=none", *TINY]
    # Python restores its handling of the signal, which a caller in the background has switched off.
    code = f"import signal, os; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv({command[0]!r}, {command!r})"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT, stderr=subprocess.PIPE, text=True)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        process.kill()
        pytest.skip("needs /proc")
    deadline = time.monotonic() + 60
    while not (child := children.read_text().split()) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert "interrupted" in process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert child
    assert not Path(f"/proc/{child[0]}").exists()


def test_table_shows_ratios_of_medians():
    def program(seconds: tuple[float, ...], start: float, memory: int) -> ProgramResult:
        halves = {"alphas": 0.5, "weights": 0.75}
        about = {"device": "CPU"}
        middle = median(seconds)
        return ProgramResult(
            middle, seconds, 1, halves, 128 / middle, 0.25, start, {"build": start}, memory, None, about
        )

    programs = {
        "fairdarts_tf": program((2.0, 1.0, 3.0), 10.0, 4 * 10**9),
        "torch": program((9.0, 8.0, 6.0), 5.0, 10**10),
    }
    ratios = Ratios.of(programs["fairdarts_tf"], programs["torch"], (2.0, 1.0, 3.0))
    result = BenchmarkResult("CPU", 2, 1e11, 10**9, programs, {"torch": ratios})
    assert (ratios.times_as_fast, ratios.times_as_quick_to_start, ratios.share_of_memory) == (4.0, 0.5, 0.4)
    assert ratios.times_as_fast_by_round == (4.5, 8.0, 2.0)
    text = benchmark_text(BenchmarkSettings(), result)
    for row in (r"s/step +2 +8", r"times as fast +4\.00", r"share of its memory +0\.40", r"build +10\.0 +5\.0"):
        assert re.search(row, text)
