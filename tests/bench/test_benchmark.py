"""The benchmark's bookkeeping, with runs that only sleep, and once with the real engine."""

from __future__ import annotations

import time

import numpy as np
import pytest

from fullint import engine
from fullint.bench import (
    PEERS,
    BenchmarkResults,
    Measurement,
    find_peers,
    load_results,
    run_benchmark,
    save_results,
)
from fullint.bench.chart import draw_chart
from fullint.bench.peers import Peer, PeerUnavailableError
from fullint.bench.timing import measure_by_turns
from fullint.errors import FullintError
from fullint.integer.model import IntegerModel
from fullint.integer.program import IntegerProgram, Operation


@pytest.fixture
def model() -> IntegerModel:
    weight = np.random.default_rng(0).integers(-128, 128, (5, 12))
    program = IntegerProgram(
        input_name="pixels",
        input_shape=(1, 2, 2, 3),
        operations=[
            Operation("reshape", ("pixels",), "row", {"shape": (1, 12)}),
            Operation("linear", ("row", "weight", "bias"), "logits"),
        ],
        constants={"weight": weight, "bias": np.arange(5)},
        output_name="logits",
        logit_scale=1.0,
    )
    return IntegerModel(program)


@pytest.fixture
def results() -> BenchmarkResults:
    def times(name: str, batch: int, *seconds: float) -> Measurement:
        return Measurement.from_seconds(name, batch, 1, list(seconds))

    return BenchmarkResults(
        model="tiny",
        machine={"cpu": "a CPU"},
        isa="portable",
        measurements=[
            times("fullint", 1, 0.001, 0.002, 0.003),
            times("torch-fp32", 1, 0.008),
            times("openvino-bf16", 1, 0.006),
            times("fullint", 16, 0.016),
        ],
        skipped={"onnxruntime-fp32": "onnx is not installed"},
    )


class TestTiming:
    def test_every_candidate_gets_its_turns(self):
        runs = {"slow": lambda: time.sleep(0.004), "fast": lambda: time.sleep(0.001)}
        samples = measure_by_turns(runs, rounds=3, turn_seconds=0.005)
        assert len(samples["slow"]) >= 3 and len(samples["fast"]) >= 3
        assert min(samples["slow"]) >= 0.004

    def test_turns_alternate_and_the_first_run_of_a_turn_does_not_count(self):
        order: list[str] = []
        runs = {name: lambda n=name: order.append(n) or time.sleep(0.001) for name in "ab"}
        samples = measure_by_turns(runs, rounds=2, turn_seconds=0)
        assert order[:2] == ["a", "b"]
        assert order[2:] == list("aabbbbaa")
        assert [len(times) for times in samples.values()] == [2, 2]

    def test_progress(self):
        seen = []
        measure_by_turns(
            {"a": lambda: None},
            rounds=2,
            turn_seconds=1e-9,
            progress=lambda done, total: seen.append((done, total)),
        )
        assert seen == [(1, 2), (2, 2)]


class TestResults:
    def test_summary(self, results):
        assert results.points() == [(1, 1), (16, 1)]
        assert [m.name for m in results.at(1, 1)] == ["fullint", "openvino-bf16", "torch-fp32"]
        assert results.advantage(1, 1) == pytest.approx(3)
        assert results.advantage(16, 1) is None
        assert results.at(16, 1)[0].images_per_second == pytest.approx(1000)

    def test_file(self, results, tmp_path):
        save_results(results, tmp_path / "bench.json")
        assert load_results(tmp_path / "bench.json") == results

    @pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": 1}', '{"schema": 7}'])
    def test_wrong_file(self, tmp_path, content):
        (tmp_path / "bench.json").write_text(content)
        with pytest.raises(FullintError, match=r"bench\.json"):
            load_results(tmp_path / "bench.json")

    def test_chart(self, results, tmp_path):
        pytest.importorskip("matplotlib")
        draw_chart(results, tmp_path / "chart.png")
        assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


class TestPeers:
    def test_patterns(self):
        assert [peer.name for peer in find_peers(["torch-fp32", "torch-*"])] == [
            name for name in PEERS if name.startswith("torch-")
        ]

    def test_unknown(self):
        with pytest.raises(FullintError, match="no peer is called 'tvm'"):
            find_peers(["tvm"])


@pytest.mark.skipif(not engine.available(), reason="the native engine is not built")
class TestRunBenchmark:
    def test_engine_alone(self, model):
        results = run_benchmark(model, batches=[1, 3], threads=[1, 2], rounds=1)
        assert results.points() == [(1, 1), (1, 2), (3, 1), (3, 2)]
        assert all(m.runs > 0 and m.low <= m.milliseconds <= m.high for m in results.measurements)
        assert {step["kind"] for step in results.profile} == {"linear"}
        assert results.machine["versions"]["numpy"] == np.__version__

    def test_peers_by_name_and_a_missing_one(self, model):
        def prepare(task):
            assert task.input.shape == (2, 3, 2, 2) and task.input.dtype == np.float32
            return lambda: time.sleep(0.001)

        def refuse(task):
            raise PeerUnavailableError("it is not installed")

        def fail(task):
            raise RuntimeError("no such operator\nlong story")

        peers = [
            Peer("sleeper", "1 ms", prepare),
            Peer("absent", "", refuse),
            Peer("broken", "", fail),
        ]
        results = run_benchmark(
            model, batches=[2], threads=[1], rounds=1, peers=peers, float_model=object()
        )
        assert {m.name for m in results.measurements} == {"fullint", "sleeper"}
        assert results.settings == {"sleeper": "1 ms"}
        assert results.skipped == {
            "absent": "it is not installed",
            "broken": "it failed with RuntimeError (batch 2, threads 1): no such operator",
        }

    def test_a_peer_that_fails_at_one_size_is_measured_at_the_others(self, model):
        def prepare(task):
            if task.batch == 1:
                raise MemoryError
            return lambda: time.sleep(0.001)

        results = run_benchmark(
            model,
            batches=[1, 2],
            threads=[1],
            rounds=1,
            peers=[Peer("sometimes", "1 ms", prepare)],
            float_model=object(),
        )
        assert results.advantage(1, 1) is None and results.advantage(2, 1) is not None
        assert results.settings == {"sometimes": "1 ms"}
        assert "MemoryError (batch 1, threads 1)" in results.skipped["sometimes"]

    def test_an_older_instruction_set_is_for_all_or_not_at_all(self, model):
        def prepare(task):
            return lambda: time.sleep(0.001)

        peers = [Peer("obeys", "", prepare), Peer("does not", "", prepare, obeys_isa=False)]
        results = run_benchmark(
            model,
            batches=[1],
            threads=[1],
            rounds=1,
            isa="portable",
            peers=peers,
            float_model=object(),
        )
        assert results.isa == "portable"
        assert {m.name for m in results.measurements} == {"fullint", "obeys"}
        assert "always uses all instructions" in results.skipped["does not"]

    def test_peers_may_keep_files(self, model, tmp_path):
        def prepare(task):
            (task.folder / "converted").touch()
            return lambda: time.sleep(0.001)

        peers = [Peer("keeper", "", prepare)]
        run_benchmark(
            model,
            batches=[1],
            threads=[1],
            rounds=1,
            peers=peers,
            float_model=object(),
            folder=tmp_path,
        )
        assert (tmp_path / "converted").exists()

    def test_refusals(self, model):
        with pytest.raises(FullintError, match="batches"):
            run_benchmark(model, batches=[0])
        with pytest.raises(FullintError, match="float model"):
            run_benchmark(model, peers=find_peers(["torch-fp32"]))
        with pytest.raises(FullintError, match="not uint8"):
            run_benchmark(model, images=np.zeros((1, 2, 2, 3)))

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["torch-fp32", "torch-bf16", "openvino-f32", "torchao-int8"])
    def test_real_peers(self, model, name):
        torch = pytest.importorskip("torch")
        if name.startswith(("openvino", "torchao")):
            pytest.importorskip(name.split("-")[0])
        network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 5)).eval()
        results = run_benchmark(
            model, batches=[2], threads=[1], rounds=1, peers=find_peers([name]), float_model=network
        )
        assert {m.name for m in results.measurements} == {"fullint", name}
