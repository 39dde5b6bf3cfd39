"""`rnnreg dashboard` against a stand-in for W&B's server."""

import getpass
import json
import shutil
import signal
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from support import wandb_files
from support.wandb_server import StandIn

from benchmark.grid.grid import silent
from benchmark.tasks import registry
from benchmark.tracking import logger
from benchmark.tracking.dashboard import TITLE, upload
from benchmark.training import callbacks
from benchmark.training.options import Options
from benchmark.training.train import Interrupted, train
from models.language_model import LanguageModel


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server that takes the key, and a user who has one."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    stand_in = StandIn()
    monkeypatch.setenv("WANDB_BASE_URL", stand_in.url)  # put back after the test, in which --base_url sets it
    yield stand_in
    stand_in.close()


def test_made_once_then_brought_up_to_date(rnnreg, server, tmp_path) -> None:
    call = ["dashboard", "--store", tmp_path / "runs", "--base_url", server.url]
    code, first, err = rnnreg(*call)
    assert code == 0, err
    assert server.projects == ["rnnreg"]
    assert sorted(view["type"] for view in server.views.values()) == ["project-view", "runs"]
    before = {identity: view["spec"] for identity, view in server.views.items()}
    code, second, err = rnnreg(*call)
    assert code == 0, err
    assert second == first
    assert set(server.views) == set(before)
    assert server.projects == ["rnnreg"]


def test_each_task_has_its_curves_the_papers_line_and_samples(rnnreg, server, tmp_path) -> None:
    code, _, err = rnnreg("dashboard", "--store", tmp_path / "runs", "--base_url", server.url, "--entity", "someone")
    assert code == 0, err
    for view in server.views.values():
        assert view["displayName"] == TITLE
        spec = json.dumps(json.loads(view["spec"]))
        for config in {row.config.task: row.config for row in registry.ROWS}.values():
            last = config.headline[-1].papers_name
            names = [config.task, config.training.name, f"paper/{config.training.name}", f"{config.unit} per second"]
            for text in [*names, f"final/{last}", f"paper/{last}"]:
                assert text in spec, (view["type"], text)
        assert spec.count('"samples"') >= 4


def test_a_wrong_key_is_one_line(rnnreg, tmp_path, server) -> None:
    refusing = StandIn(key_is_right=False)
    code, out, err = rnnreg("dashboard", "--store", tmp_path / "runs", "--base_url", refusing.url)
    refusing.close()
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "rnnreg: error: W&B: " in err
    assert "`wandb login` sets the key" in err


def test_nothing_to_upload_says_so(rnnreg, server, tmp_path) -> None:
    code, out, err = rnnreg("dashboard", "--sync", "--store", tmp_path / "runs", "--base_url", server.url)
    assert code == 0, err
    assert out.startswith("nothing to upload\nworkspace: ")


@pytest.fixture
def options(tmp_path):
    def make(mode: str) -> Options:
        return Options(store=tmp_path / "runs", accelerator="cpu", threads=1, wandb=mode)

    return make


def history(server: StandIn) -> list[dict[str, object]]:
    """All that the server was told of a run's curves."""
    parts = [stream.get("files", {}).get("wandb-history.jsonl", {}) for stream in server.streams]
    return [json.loads(line) for part in parts for line in part.get("content", [])]


@pytest.fixture
def fresh_wandb(monkeypatch):
    """W&B as a new process has it: it reads the server's address once."""
    import wandb

    wandb.teardown()
    yield
    logger.finish()
    wandb.teardown()


def test_an_offline_run_is_uploaded_whole_and_once(rnnreg, server, tiny_row, tmp_path, options, fresh_wandb) -> None:
    record = train(tiny_row, 1, options("offline"), progress=silent)
    wandb_files.finish()
    call = ["dashboard", "--sync", "--store", tmp_path / "runs", "--base_url", server.url]
    code, out, err = rnnreg(*call)
    assert code == 0, err
    assert f"[1/1] {record.run}: uploaded" in out
    assert list(server.runs) == [record.run.replace("/", "-")]
    seen = [line["validation_perplexity"] for line in history(server) if "validation_perplexity" in line]
    assert seen[: len(record.curve)] == [point["validation_perplexity"] for point in record.curve]
    assert {artifact["artifactTypeName"] for artifact in server.artifacts} == {"record", "run_table"}
    assert any(name.endswith(".table.json") for name in server.files)
    code, out, err = rnnreg(*call)
    assert code == 0, err
    assert out.startswith("nothing to upload")


def test_a_resumed_offline_run_arrives_as_one_curve(
    server, tiny_row, tmp_path, options, fresh_wandb, monkeypatch, capsys
) -> None:
    """Stopped in its second epoch and resumed: the server has what an undisturbed run has, and the model asked for."""
    monkeypatch.setattr(callbacks, "STEPS_BETWEEN_LOGS", 10)
    step, calls = LanguageModel.training_step, []

    def interrupted(self, batch, index):
        calls.append(index)
        if len(calls) == 170:
            raise KeyboardInterrupt
        return step(self, batch, index)

    monkeypatch.setattr(LanguageModel, "training_step", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="interrupted in epoch 2 of 2"):
        train(tiny_row, 1, options("offline"), progress=silent)
    signal.signal(signal.SIGINT, handler)
    wandb_files.finish()
    monkeypatch.setattr(LanguageModel, "training_step", step)
    record = train(tiny_row, 1, replace(options("offline"), wandb_model=True), progress=silent)
    wandb_files.finish()
    train(tiny_row, 1, replace(options("offline"), store=tmp_path / "whole"), progress=silent)
    wandb_files.finish()
    curves = []
    for store in ("runs", "whole"):
        server.history.clear()
        server.runs.clear()
        assert upload(tmp_path / store, "", "rnnreg") == []
        assert f"[1/1] {record.run}: uploaded" in capsys.readouterr().out
        (lines,) = server.history.values()
        timed = ("_runtime", "_timestamp", "seconds", "throughput", "samples")
        shown = [json.loads(lines[number]) for number in sorted(lines)]
        curves.append([{name: line[name] for name in line if not name.startswith(timed)} for line in shown])
        assert sorted(lines) == list(range(len(lines)))
    assert curves[0] == curves[1]
    losses = [line["trainer/global_step"] for line in curves[0] if "training_loss" in line]
    assert losses == sorted(set(losses))
    (model,) = [artifact for artifact in server.artifacts if artifact["artifactTypeName"] == "model"]
    assert {alias["alias"] for alias in model["aliases"]} == {"latest", "tiny", "seed-1"}


def test_a_server_that_is_not_there_is_said_at_once(tmp_path, monkeypatch, fresh_wandb) -> None:
    (tmp_path / "a" / "b" / "wandb" / "offline-run-1").mkdir(parents=True)
    (tmp_path / "a" / "b" / "wandb" / "offline-run-1" / "run-1.wandb").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert upload(tmp_path, "", "rnnreg") == ["1 run: W&B's server cannot be reached"]


def test_what_the_server_refuses_is_kept_and_named(rnnreg, tiny_row, tmp_path, options, server, fresh_wandb) -> None:
    record = train(tiny_row, 1, options("offline"), progress=silent)
    wandb_files.finish()
    refusing = StandIn(key_is_right=False)
    code, out, err = rnnreg("dashboard", "--sync", "--store", tmp_path / "runs", "--base_url", refusing.url)
    refusing.close()
    assert code == 1
    assert f"[1/1] {record.run}: FAILED" in out
    assert "user is not logged in" in err.split(f"{record.run}: ")[1].split("; and ")[0]
    assert not list((tmp_path / "runs").rglob("*.synced"))
    assert list((tmp_path / "runs").rglob("run-*.wandb"))


def test_an_online_run_reaches_the_server_whole(server, tiny_row, options, fresh_wandb, caplog) -> None:
    record = train(tiny_row, 1, options("online"), progress=silent)
    logger.finish()
    assert list(server.runs) == [record.run.replace("/", "-")]
    assert any("validation_perplexity" in line for line in history(server))
    assert {artifact["artifactTypeName"] for artifact in server.artifacts} == {"record", "run_table"}
    assert "W&B" not in caplog.text


def test_an_online_run_tells_nothing_of_the_machine_or_its_user(server, tiny_row, options, fresh_wandb) -> None:
    train(tiny_row, 1, options("online"), progress=silent)
    logger.finish()
    source = tiny_row.config.source  # the user's own words, part of the configuration
    told = " ".join([json.dumps([server.requests, server.streams]), *map(str, server.files.values())])
    told = told.replace(source, "").replace("\\", "")
    for private in (socket.gethostname(), str(Path.home()), getpass.getuser(), str(Path(source).parent), "0" * 40):
        assert f'"{private}' not in told, private
    starts = [one["variables"] for one in server.requests if "upsertBucket" in one["query"]]
    assert {start.get("program") for start in starts} == {"rnnreg", None}
    assert not [name for name in server.files if "requirements" in name or "metadata" in name]


def test_a_wrong_key_means_offline(tiny_row, tmp_path, options, monkeypatch, server, caplog, fresh_wandb) -> None:
    refusing = StandIn(key_is_right=False)
    monkeypatch.setenv("WANDB_BASE_URL", refusing.url)
    train(tiny_row, 1, options("online"), progress=silent)
    logger.finish()
    refusing.close()
    assert caplog.text.count("W&B rejects this run, it is logged offline: ") == 1
    assert list((tmp_path / "runs").rglob("offline-run-*/run-*.wandb"))


def test_no_server_means_offline_at_once(server, tiny_row, tmp_path, options, monkeypatch, caplog, fresh_wandb) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens here
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        train(tiny_row, 1, options("online"), progress=silent)
        logger.finish()
    assert "W&B cannot be reached, this run is logged offline" in caplog.text
    assert list((tmp_path / "runs").rglob("offline-run-*/run-*.wandb"))


def test_a_server_that_is_lost_in_the_middle_costs_nothing(
    tiny_row, tmp_path, options, monkeypatch, server, fresh_wandb
) -> None:
    lost = StandIn()
    monkeypatch.setenv("WANDB_BASE_URL", lost.url)
    monkeypatch.setattr(logger, "FINISH_SECONDS", 2)

    def lose(epoch: int, epochs: int) -> None:
        if epoch == 1:
            lost.close()

    record = train(tiny_row, 1, options("online"), progress=lose)
    logger.finish()
    assert record.metrics["test_perplexity"] > 1
    assert list((tmp_path / "runs").rglob("run-*.wandb"))
    shutil.rmtree(tmp_path / "home", ignore_errors=True)
