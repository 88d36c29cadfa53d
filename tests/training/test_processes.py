"""Started by torchrun with a folder, this file is also each of the two processes of its own test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

import medground
from medground.model.shared_norm import SharedBatchNorm2d
from medground.schema.errors import UsageError
from medground.training.processes import Processes

SAMPLES, STEPS, SECONDS = 7, 5, 1200
CASES = [(optimizer, dtype) for optimizer in ("sgd", "adamw") for dtype in (torch.float64, torch.float32)]


class Net(nn.Module):
    """A small classifier; of two more parameters one is used by the last sample alone and one by none."""

    def __init__(self, norm: type[nn.BatchNorm2d]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.norm = norm(4)
        self.deeper = nn.Conv2d(4, 6, 3, stride=2, bias=False)
        self.second = norm(6)
        self.linear = nn.Linear(6, 3)
        self.of_last = nn.Parameter(torch.ones(3))
        self.of_none = nn.Parameter(torch.ones(3))

    def forward(self, images_BCHW: Tensor, has_last: bool) -> Tensor:
        maps = F.relu(self.second(self.deeper(F.relu(self.norm(self.conv(images_BCHW))))))
        logits_B3 = self.linear(maps.mean((2, 3)))
        return torch.cat([logits_B3[:-1], logits_B3[-1:] * self.of_last]) if has_last else logits_B3


def train(processes: Processes, norm: type[nn.BatchNorm2d], optimizer: str, dtype: torch.dtype) -> dict[str, Tensor]:
    """The state after a few steps on a fixed batch, of which this process takes its share."""
    torch.manual_seed(3)
    images = (torch.randn(SAMPLES, 1, 8, 8) * torch.arange(1, SAMPLES + 1)[:, None, None, None]).to(dtype)
    labels = torch.arange(SAMPLES) % 3
    net = Net(norm).to(dtype)
    parameters = list(net.parameters())
    rule = (
        torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.1)
        if optimizer == "sgd"
        else torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.1)
    )
    share = processes.share(SAMPLES)
    for _ in range(STEPS):
        rule.zero_grad()
        logits = net(images[share.start : share.stop], SAMPLES - 1 in share)
        loss = F.cross_entropy(logits, labels[share.start : share.stop], reduction="sum") / SAMPLES
        torch.autograd.backward(loss)
        processes.total_gradients(parameters)
        nn.utils.clip_grad_norm_(parameters, 0.5)
        rule.step()
    return {**net.state_dict(), "loss": processes.total(loss)}


def one_of_several(folder: Path) -> None:
    """What each process that torchrun starts does and leaves in the folder."""
    light = "accelerate" not in sys.modules
    processes = Processes.start(precision="bf16")
    for optimizer, dtype in CASES:
        for norm in (SharedBatchNorm2d, nn.BatchNorm2d):
            state = train(processes, norm, optimizer, dtype)
            save_file(state, folder / f"{norm.__name__} {optimizer} {dtype} {processes.rank}.safetensors")
    kept = torch.arange(6.0, requires_grad=True).view(2, 3).T * (processes.rank + 1)
    summed = processes.total(kept)
    with processes.autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    try:
        processes.share(1)
        refused = ""
    except UsageError as error:
        refused = str(error)
    facts = {
        "light": light,
        "place": [processes.rank, processes.count, processes.device.type, processes.is_first],
        "backend": torch.distributed.get_backend(),
        "total": [summed.tolist(), summed.requires_grad, kept[2, 1].item() / (processes.rank + 1)],
        "gathered": processes.gather([] if processes.rank == 0 else [{"é": [1, 0.1, None]}, "後" * 300]),
        "nothing": processes.gather([]),
        "order": processes.gather([processes.rank] * (processes.rank + 1)),
        "shares": [list(processes.share(size)) for size in (2, 7, 8)],
        "refused": refused,
        "product": str(product.dtype),
    }
    processes.barrier()
    (folder / f"{processes.rank}.json").write_text(json.dumps(facts), encoding="utf-8")
    processes.end()
    assert not torch.distributed.is_initialized()


@pytest.fixture(scope="module")
def meeting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where two processes left what they found."""
    folder = tmp_path_factory.mktemp("meeting")
    launch = ["-m", "torch.distributed.run", "--standalone", "--local_addr", "127.0.0.1", "--nproc_per_node", "2"]
    home = str(Path(medground.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": home, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, *launch, __file__, str(folder)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            said, _ = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)  # torchrun then ends the processes that it started
            said, _ = process.communicate(timeout=300)
        finally:
            process.kill()
    assert process.returncode == 0, said.decode()[-3000:]
    return folder


@pytest.mark.parametrize(("optimizer", "dtype"), CASES)
def test_two_processes_with_uneven_halves_train_as_one(meeting: Path, optimizer: str, dtype: torch.dtype) -> None:
    close = 1e-10 if dtype == torch.float64 else 1e-5
    alone = train(Processes.single(), nn.BatchNorm2d, optimizer, dtype)
    ranks = [load_file(meeting / f"SharedBatchNorm2d {optimizer} {dtype} {rank}.safetensors") for rank in range(2)]
    for key, value in alone.items():
        assert torch.equal(ranks[0][key], ranks[1][key]), key
        assert torch.allclose(ranks[0][key], value, rtol=close, atol=close), key
    assert torch.equal(ranks[0]["of_none"], torch.ones(3, dtype=dtype))  # no gradient anywhere: no weight decay
    assert int(ranks[0]["norm.num_batches_tracked"]) == STEPS


@pytest.mark.parametrize(("optimizer", "dtype"), CASES)
def test_without_shared_statistics_it_is_another_training(meeting: Path, optimizer: str, dtype: torch.dtype) -> None:
    alone = train(Processes.single(), nn.BatchNorm2d, optimizer, dtype)
    apart = load_file(meeting / f"BatchNorm2d {optimizer} {dtype} 0.safetensors")
    assert not torch.allclose(apart["linear.weight"], alone["linear.weight"], rtol=1e-3, atol=1e-3)
    assert not torch.allclose(apart["norm.running_var"], alone["norm.running_var"], rtol=1e-3, atol=1e-3)


def test_two_processes_meet_over_gloo_and_agree(meeting: Path) -> None:
    facts = [json.loads((meeting / f"{rank}.json").read_text(encoding="utf-8")) for rank in range(2)]
    for rank, fact in enumerate(facts):
        assert fact["light"]
        assert fact["place"] == [rank, 2, "cpu", rank == 0]
        assert fact["backend"] == "gloo"
        assert fact["total"] == [[[0.0, 9.0], [3.0, 12.0], [6.0, 15.0]], False, 5.0]
        assert fact["gathered"] == [{"é": [1, 0.1, None]}, "後" * 300]
        assert fact["nothing"] == []
        assert fact["order"] == [0, 1, 1]
        assert "batch of 1 cannot be shared by 2 processes" in fact["refused"]
        assert fact["product"] == "torch.bfloat16"
    assert [facts[0]["shares"], facts[1]["shares"]] == [
        [[0], [0, 1, 2, 3], [0, 1, 2, 3]],
        [[1], [4, 5, 6], [4, 5, 6, 7]],
    ]


def test_alone_nothing_is_exchanged() -> None:
    alone = Processes.single()
    assert (alone.rank, alone.count, alone.is_first, alone.precision) == (0, 1, True, "no")
    tensor = torch.ones(2, requires_grad=True)
    assert torch.equal(alone.total(tensor), torch.ones(2))
    assert not alone.total(tensor).requires_grad
    with alone.autocast():
        assert (torch.ones(1, 1) @ torch.ones(1, 1)).dtype == torch.float32
    torch.autograd.backward((tensor * 3).sum())
    unused = nn.Parameter(torch.ones(1))
    alone.total_gradients([tensor, unused])
    assert tensor.grad is not None
    assert tensor.grad.tolist() == [3.0, 3.0]
    assert unused.grad is None
    tuples: list[object] = [(1, "a")]
    assert alone.gather(tuples) == [[1, "a"]]  # as several processes would get it
    with pytest.raises(TypeError):
        alone.gather([object()])
    assert alone.share(3) == range(3)
    alone.barrier()
    alone.end()


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("batch_size", [5, 6, 16])
def test_shares_are_the_batch_and_differ_by_one_at_most(count: int, batch_size: int) -> None:
    shares = [Processes(rank, count, torch.device("cpu"), "no").share(batch_size) for rank in range(count)]
    assert [position for share in shares for position in share] == list(range(batch_size))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="finds no GPU"):
        Processes.start(device="cuda")


if __name__ == "__main__":
    one_of_several(Path(sys.argv[1]))
    os._exit(0)  # all is written and parted: gloo's threads can abort an interpreter that takes itself apart under load
