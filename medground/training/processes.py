"""The processes that train together, and the one door to accelerate.

They are started by `torchrun` (`python -m torch.distributed.run --nproc_per_node 2 SCRIPT`), run the same script and
differ by rank. `accelerate launch --cpu` is no substitute: it was seen to start a single process without a word.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from torch import Tensor, distributed

from medground.schema.errors import UsageError

T = TypeVar("T")
Precision = Literal["no", "bf16"]


@dataclass(frozen=True, slots=True)
class Processes:
    """This process's place among those that train together.

    All methods but `share` and `autocast` are meetings: every process calls them, in the same order.

    Attributes:
        rank: of this process, 0 to count - 1.
        count: of processes.
        device: where this process computes.
        precision: `bf16` lets `autocast` use bfloat16 where that is safe; `no` keeps the weights' dtype.
    """

    rank: int
    count: int
    device: torch.device
    precision: Precision

    @classmethod
    def single(cls, *, device: str = "cpu", precision: Precision = "no") -> Processes:
        """One process alone; nothing is started or imported."""
        return cls(0, 1, torch.device(device), precision)

    @classmethod
    def start(cls, *, device: Literal["auto", "cpu", "cuda"] = "auto", precision: Precision = "no") -> Processes:
        """Meet the other processes that `torchrun` started; without `torchrun`, one process alone.

        Once in the life of a process. On CPU they talk by gloo, on CUDA by NCCL.

        Args:
            device: `auto` is CUDA where there is a GPU.
            precision: of `autocast`.

        Raises:
            UsageError: accelerate is missing, there is no GPU, or the processes did not find each other.
        """
        if device == "cuda" and not torch.cuda.is_available():
            raise UsageError("device 'cuda' was asked for and torch finds no GPU; use 'cpu' or 'auto'")
        try:
            from accelerate import Accelerator  # type: ignore[import-untyped]  # here: it takes seconds to import
        except ImportError as error:
            raise UsageError("several processes need accelerate: pip install accelerate") from error
        # Unless told so, accelerate ignores torchrun where there is no GPU and takes each process for the only one.
        on_cpu = device == "cpu" or not torch.cuda.is_available()
        accelerator = Accelerator(cpu=on_cpu, mixed_precision=precision)
        expected = int(os.environ.get("WORLD_SIZE", "1"))
        if accelerator.num_processes != expected:
            raise UsageError(
                f"torchrun started {expected} processes and accelerate found {accelerator.num_processes}; "
                "unset the ACCELERATE_* variables and start with python -m torch.distributed.run"
            )
        return cls(accelerator.process_index, accelerator.num_processes, accelerator.device, precision)

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes files and reports."""
        return self.rank == 0

    def share(self, batch_size: int) -> range:
        """Positions in the global batch that are this process's; together the shares are the batch, in rank order.

        Args:
            batch_size: samples in the global batch; where it does not divide, the first processes take one more.

        Raises:
            UsageError: a process would get nothing.
        """
        if batch_size < self.count:
            raise UsageError(f"a batch of {batch_size} cannot be shared by {self.count} processes; use a larger batch")
        each, more = divmod(batch_size, self.count)
        start = self.rank * each + min(self.rank, more)
        return range(start, start + each + (self.rank < more))

    def total(self, tensor: Tensor) -> Tensor:
        """Sum over processes, element by element.

        Args:
            tensor: of the same shape and numeric dtype in all processes; not changed.

        Returns:
            The sum, detached, on the tensor's device; alone, the detached tensor.
        """
        if self.count == 1:
            return tensor.detach()
        buffer = tensor.detach().to(self.device).clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(buffer)
        return buffer.to(tensor.device)

    def total_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace each gradient by its sum over processes: the gradient of the sum of their losses.

        A missing gradient counts as zero. One that is missing everywhere stays missing, so that the optimizer leaves
        that parameter alone as it does with one process.

        Args:
            parameters: the same in all processes, in the same order.
        """
        listed = list(parameters)
        if self.count == 1 or not listed:
            return
        holders = self.total(torch.tensor([parameter.grad is not None for parameter in listed], dtype=torch.int32))
        by_dtype: dict[torch.dtype, list[Tensor]] = {}
        for parameter, number in zip(listed, holders.tolist(), strict=True):
            if number:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                by_dtype.setdefault(parameter.dtype, []).append(parameter.grad)
        for gradients in by_dtype.values():
            flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
            distributed.all_reduce(flat)
            sizes = [gradient.numel() for gradient in gradients]
            for gradient, summed in zip(gradients, torch.split(flat, sizes), strict=True):
                gradient.copy_(summed.view_as(gradient))

    def gather(self, objects: list[T]) -> list[T]:
        """The lists of all processes, one after the other in rank order; every process gets them.

        Args:
            objects: whatever JSON holds; tuples come back as lists, also alone. They travel as JSON, never as pickle.

        Raises:
            TypeError: something that JSON cannot hold.
        """
        own = json.dumps(objects).encode()
        parts = [own] if self.count == 1 else self._gather_bytes(own)
        return [item for part in parts for item in json.loads(part)]

    def _gather_bytes(self, own: bytes) -> list[bytes]:
        size = torch.tensor([len(own)], device=self.device)
        sizes = [torch.empty_like(size) for _ in range(self.count)]
        distributed.all_gather(sizes, size)
        lengths = [int(length) for length in sizes]
        padded = torch.frombuffer(bytearray(own.ljust(max(lengths), b" ")), dtype=torch.uint8).to(self.device)
        rows = [torch.empty_like(padded) for _ in range(self.count)]
        distributed.all_gather(rows, padded)
        return [row[:length].cpu().numpy().tobytes() for row, length in zip(rows, lengths, strict=True)]

    def autocast(self) -> AbstractContextManager[object]:
        """Within it, convolutions and matrix products run in the precision asked for."""
        if self.precision == "no":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def on_device(self) -> AbstractContextManager[object]:
        """Within it, new tensors lie on the device; on a CPU they do anyway, and nothing is slowed down by asking."""
        return nullcontext() if self.device.type == "cpu" else self.device

    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.count > 1:
            distributed.barrier()

    def end(self) -> None:
        """Part for good, all at the same time: none is to close what another still listens to."""
        if self.count > 1:
            distributed.barrier()
            distributed.destroy_process_group()
