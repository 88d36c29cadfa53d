"""Started with a rank and a folder, this file is also one of the two processes of its own test."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, distributed, nn

import medground
from medground.model.shared_norm import SharedBatchNorm2d

CASES: dict[str, tuple[int, int]] = {"uneven": (5, 2), "one image": (6, 1), "no image": (0, 7), "one value": (1, 1)}
"""Rows of the two processes."""
NORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "cumulative": {"momentum": None},
    "bare": {"affine": False, "track_running_stats": False},
}
SECONDS = 1200


def inputs(case: str) -> tuple[Tensor, Tensor]:
    """The whole batch, its mean not zero, and the weight of each output in the loss."""
    rows, size = sum(CASES[case]), 1 if case == "one value" else 4
    generator = torch.Generator().manual_seed(rows)
    x, loss_weights = torch.randn(2, rows, 3, size, size, generator=generator, dtype=torch.float64)
    return 4 + x * torch.tensor([1.0, 5.0, 0.5])[:, None, None], loss_weights


def outcome(norm: nn.BatchNorm2d, x: Tensor, loss_weights: Tensor) -> dict[str, Tensor]:
    """Output, gradients and state after two steps whose loss is a sum of cubes."""
    if norm.affine:
        with torch.no_grad():
            norm.weight.copy_(torch.tensor([0.5, -2.0, 1.5]))
            norm.bias.copy_(torch.tensor([0.1, 0.2, -0.3]))
    norm(x.detach() * 2)
    x = x.detach().clone().requires_grad_()
    out = norm(x)
    (loss_weights * out**3).sum().backward()
    gradients = {f"gradient/{name}": p.grad for name, p in norm.named_parameters() if p.grad is not None}
    assert x.grad is not None
    state = {name: value.clone() for name, value in norm.state_dict().items()}
    return {"out": out.detach(), "gradient/x": x.grad, **gradients, **state}


def one_of_two(rank: int, folder: Path) -> None:
    """The process of that rank: its rows of each case through the shared norm."""
    distributed.init_process_group(
        "gloo", f"file://{folder}/meeting", timedelta(seconds=SECONDS), world_size=2, rank=rank
    )
    for case, (first, _) in CASES.items():
        x, loss_weights = (t[:first] if rank == 0 else t[first:] for t in inputs(case))
        for name, options in NORMS.items():
            for dtype in (torch.float64, torch.float32):
                norm = SharedBatchNorm2d(3, dtype=dtype, **options)
                found = outcome(norm, x.to(dtype), loss_weights.to(dtype))
                kept = {key: value.contiguous() for key, value in found.items()}
                save_file(kept, folder / f"{case} {name} {dtype} {rank}.safetensors")
    x = inputs("uneven")[0].bfloat16()
    out = SharedBatchNorm2d(3)(x[: 5 - 3 * rank].contiguous(memory_format=torch.channels_last))
    flags = [out.dtype == torch.bfloat16, out.is_contiguous(memory_format=torch.channels_last)]
    evaluated = SharedBatchNorm2d(3).eval()(x[: rank + 1].float())  # no meeting: different shapes would not pass one
    refused = False
    try:
        SharedBatchNorm2d(3)(torch.zeros(1 - rank, 3, 1, 1))
    except ValueError as error:
        refused = "got 1" in str(error)
    save_file({"flags": torch.tensor([*flags, refused]), "evaluated": evaluated}, folder / f"others {rank}.safetensors")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def meeting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where two processes left what they found."""
    folder = tmp_path_factory.mktemp("meeting")
    home = str(Path(medground.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": home, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen([sys.executable, __file__, str(rank), str(folder)], env=environment, stderr=subprocess.PIPE)
        for rank in range(2)
    ]
    try:
        for process in started:
            _, said = process.communicate(timeout=SECONDS)
            assert process.returncode == 0, said.decode()[-2000:]
    finally:
        for process in started:
            process.kill()
            process.communicate()
    return folder


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_two_processes_equal_one(meeting: Path, case: str, name: str, dtype: torch.dtype, close: float) -> None:
    x, loss_weights = (t.to(dtype) for t in inputs(case))
    expected = outcome(nn.BatchNorm2d(3, dtype=dtype, **NORMS[name]), x, loss_weights)
    first, second = (load_file(meeting / f"{case} {name} {dtype} {rank}.safetensors") for rank in range(2))
    assert first.keys() == expected.keys()
    for key, value in expected.items():
        if key in ("out", "gradient/x"):
            found = torch.cat([first[key], second[key]])
        elif key.startswith("gradient/"):
            found = first[key] + second[key]
        else:
            found = first[key]
            assert torch.equal(first[key], second[key]), key
        assert torch.allclose(found, value, rtol=close, atol=close), key


def test_dtype_layout_and_evaluation_are_kept_and_a_single_value_is_refused(meeting: Path) -> None:
    x = inputs("uneven")[0].bfloat16().float()
    for rank in range(2):
        found = load_file(meeting / f"others {rank}.safetensors")
        assert found["flags"].tolist() == [True, True, True]
        assert torch.equal(found["evaluated"], nn.BatchNorm2d(3).eval()(x[: rank + 1]))


def test_alone_it_is_the_norm_of_torch_bit_for_bit_and_weights_load_both_ways() -> None:
    x, loss_weights = (t.float() for t in inputs("uneven"))
    shared, plain = SharedBatchNorm2d(3), nn.BatchNorm2d(3)
    found, expected = outcome(shared, x, loss_weights), outcome(plain, x, loss_weights)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert list(shared.state_dict()) == list(plain.state_dict())
    fresh = SharedBatchNorm2d(3)
    fresh.load_state_dict(plain.state_dict())
    plain.load_state_dict(shared.state_dict())
    assert torch.equal(fresh.eval()(x), plain.eval()(x))


def test_alone_a_single_value_is_refused_as_torch_does() -> None:
    with pytest.raises(ValueError, match="more than 1 value"):
        SharedBatchNorm2d(3)(torch.zeros(1, 3, 1, 1))
    with pytest.raises(ValueError, match="4D"):
        SharedBatchNorm2d(3)(torch.zeros(2, 3))


if __name__ == "__main__":
    one_of_two(int(sys.argv[1]), Path(sys.argv[2]))
    os._exit(0)  # all is written and parted: gloo's threads can abort an interpreter that takes itself apart under load
