"""`rnnreg dashboard` against a stand-in for W&B's server."""

import json

import pytest
from wandb_server import StandIn

from benchmark import rows
from benchmark.dashboards import TITLE


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server that takes the key, and a user who has one."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.delenv("WANDB_BASE_URL", raising=False)
    monkeypatch.setenv("WANDB_BASE_URL", "")  # put back after the test, which sets it
    stand_in = StandIn()
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
        for config in {row.config.task: row.config for row in rows.ROWS}.values():
            last = config.headline[-1].name
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
