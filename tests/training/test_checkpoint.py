from __future__ import annotations

import pytest
import torch

from medground.schema.errors import CheckpointError
from medground.training.checkpoint import Progress, load_checkpoint, read_origin, save_checkpoint
from medground.training.origin import Origin, Start
from tests.full_disk import no_file_longer_than


def trained() -> tuple[torch.nn.Linear, torch.optim.AdamW]:
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(4, 3)).square().sum().backward()
        optimizer.step()
    return model, optimizer


def test_everything_comes_back(tmp_path):
    model, optimizer = trained()
    path = tmp_path / "c.safetensors"
    average = {name: value * 2 for name, value in model.state_dict().items()}
    save_checkpoint(path, Progress(1, 42, "abc"), model.state_dict(), average, optimizer)
    back = load_checkpoint(path, "abc")
    assert back.progress == Progress(1, 42, "abc")
    assert all(torch.equal(back.weights[name], value) for name, value in model.state_dict().items())
    assert all(torch.equal(back.average[name], value) for name, value in average.items())
    fresh = torch.optim.AdamW(model.parameters(), 0.1)
    back.restore_optimizer(fresh)
    for index, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            assert torch.equal(torch.as_tensor(fresh.state_dict()["state"][index][key]), torch.as_tensor(value))
    assert [p.name for p in tmp_path.iterdir()] == ["c.safetensors"]


def test_a_full_disk_is_an_error_and_leaves_the_checkpoint_before(tmp_path):
    model, optimizer = trained()
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, Progress(0, 1, "abc"), model.state_dict(), {}, optimizer)
    with no_file_longer_than(100), pytest.raises(CheckpointError, match="cannot be written"):
        save_checkpoint(path, Progress(0, 2, "abc"), model.state_dict(), {}, optimizer)
    assert load_checkpoint(path, "abc").progress.step == 1
    assert [p.name for p in tmp_path.iterdir()] == ["c.safetensors"]


def test_another_recipe_and_damage_are_refused(tmp_path):
    model, optimizer = trained()
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, Progress(0, 1, "abc"), model.state_dict(), {}, optimizer)
    with pytest.raises(CheckpointError, match="another recipe"):
        load_checkpoint(path, "xyz")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(path, "abc")


def test_what_a_run_began_with_comes_back(tmp_path):
    model, optimizer = trained()
    path = tmp_path / "c.safetensors"
    origin = Origin(fold=0, mode="lora", start=Start(bundle="b 1", sha256="ab", trained_on=("phantom",), large_fold=2))
    save_checkpoint(path, Progress(0, 1, "abc"), model.state_dict(), {}, optimizer, origin=origin)
    assert read_origin(path) == origin
    assert load_checkpoint(path, "abc").progress.step == 1
    save_checkpoint(path, Progress(0, 1, "abc"), model.state_dict(), {}, optimizer)
    assert read_origin(path) is None
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_origin(path)
