"""Batch normalisation over the batch of all processes, so that two processes train as one would.

Shape suffixes: N samples of this process, C channels, H rows, W columns, P processes, K numbers.

The loss of the whole batch is the SUM of the losses of the processes. A mean over samples therefore divides by the
samples of all processes, and the gradient of a parameter is the sum (not the mean) of the gradients that the
processes hold after `backward`. Under this rule gradients are those of one process with all samples in one batch:
what reaches a sample through the shared mean and variance includes the losses of the other processes, once each.

Processes meet inside the layer, once in `forward` and once in `backward`. So all of them run the same layers in the
same order, each time with as many forwards and backwards. A process with few or no samples still has to run them,
and its loss has to depend on the outputs, if only by a sum over nothing; otherwise the others wait for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import once_differentiable

_PLACES = (0, 2, 3)


class SharedBatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` whose batch in training is that of all processes together.

    Parameters, buffers and names in the state dict are those of `nn.BatchNorm2d`: weights of one load into the other.
    In evaluation, and where this process is the only one, the computation is that of `nn.BatchNorm2d`, bit for bit.
    Processes may hold different numbers of samples, or none, and images of different sizes.

    Args:
        num_features: C.
        eps, momentum, affine, track_running_stats, device, dtype: as in `nn.BatchNorm2d`.

    Source: Ioffe and Szegedy, Batch Normalization, ICML 2015, algorithm 1.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise each channel.

        Args:
            input: (N, C, H, W) floating point; in training N may be 0 as long as another process has samples.

        Returns:
            (N, C, H, W), same dtype.

        Raises:
            ValueError: `input` is not 4-dimensional, or in training fewer than two values a channel came together.
        """
        if not self.training or _process_count() == 1:
            return super().forward(input)
        self._check_input_dim(input)
        batch = _batch_statistics(input.detach())
        self._track(batch)
        normalised: Tensor = _Normalise.apply(input, self.weight, self.bias, batch, self.eps)  # type: ignore[no-untyped-call]
        return normalised

    @torch.no_grad()
    def _track(self, batch: _BatchStatistics) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        unbiased_C = batch.variance_C * (batch.count / (batch.count - 1))
        self.running_mean.lerp_(batch.mean_C.to(self.running_mean.dtype), share)
        self.running_var.lerp_(unbiased_C.to(self.running_var.dtype), share)


@dataclass(frozen=True, slots=True)
class _BatchStatistics:
    """What all processes know of their common batch: float64 mean, biased float64 variance, values a channel."""

    mean_C: Tensor
    variance_C: Tensor
    count: int


def _process_count() -> int:
    if not (distributed.is_available() and distributed.is_initialized()):
        return 1
    return distributed.get_world_size()


def _working(tensor: Tensor) -> torch.dtype:
    """The dtype to compute in: at least float32."""
    return torch.promote_types(tensor.dtype, torch.float32)


def _across(vector_C: Tensor, dtype: torch.dtype) -> Tensor:
    return vector_C.to(dtype)[:, None, None]


def _batch_statistics(x_NCHW: Tensor) -> _BatchStatistics:
    """Mean and variance over all processes, with one exchange.

    Each process sums squares about its own mean, so nothing cancels when the mean is far from zero.

    Source: Chan, Golub and LeVeque, Algorithms for computing the sample variance, 1983, equation 1.5 for P groups.
    """
    channels, dtype = x_NCHW.shape[1], _working(x_NCHW)
    own = x_NCHW.numel() // max(channels, 1)
    sum_C = x_NCHW.sum(_PLACES, dtype=dtype).double()
    centre_C = (sum_C / max(own, 1)).to(dtype)
    squares_C = (x_NCHW - _across(centre_C, dtype)).square_().sum(_PLACES).double()
    message_K = torch.cat([sum_C.new_tensor([own]), sum_C, squares_C])
    messages = [torch.empty_like(message_K) for _ in range(_process_count())]
    distributed.all_gather(messages, message_K)
    counts_P1, sums_PC, squares_PC = torch.split(torch.stack(messages), [1, channels, channels], dim=1)
    count = int(counts_P1.sum())
    if count < 2:
        raise ValueError(f"training needs more than 1 value a channel in all processes together, got {count}")
    mean_C = sums_PC.sum(0) / count
    between_PC = counts_P1 * (sums_PC / counts_P1.clamp(min=1) - mean_C).square()
    return _BatchStatistics(mean_C, (squares_PC + between_PC).sum(0) / count, count)


class _Normalise(torch.autograd.Function):
    """Scale and shift by shared statistics; the backward knows that they depend on the inputs of all processes.

    Source: Ioffe and Szegedy, section 3, with the two sums over the batch taken over all processes.
    """

    @staticmethod
    def forward(
        ctx: Any, x_NCHW: Tensor, weight_C: Tensor | None, bias_C: Tensor | None, batch: _BatchStatistics, eps: float
    ) -> Tensor:
        dtype = _working(x_NCHW)
        inverse_C = (batch.variance_C + eps).rsqrt()
        scale_C = inverse_C if weight_C is None else inverse_C * weight_C
        ctx.save_for_backward(x_NCHW, scale_C, batch.mean_C, inverse_C)
        ctx.count = batch.count
        out_NCHW = (x_NCHW - _across(batch.mean_C, dtype)).mul_(_across(scale_C, dtype))
        if bias_C is not None:
            out_NCHW.add_(_across(bias_C, dtype))
        return out_NCHW.to(x_NCHW.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_NCHW: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        x_NCHW, scale_C, mean_C, inverse_C = ctx.saved_tensors
        dtype = _working(x_NCHW)
        gradient_NCHW = gradient_NCHW.to(dtype)
        centred_NCHW = x_NCHW - _across(mean_C, dtype)
        sum_C = gradient_NCHW.sum(_PLACES).double()
        dot_C = (gradient_NCHW * centred_NCHW).sum(_PLACES).double() * inverse_C
        of_input = None
        if ctx.needs_input_grad[0]:  # the same in all processes: it depends on the layers before, not on the data
            total_2C = torch.stack([sum_C, dot_C])
            distributed.all_reduce(total_2C)  # a sum: each process's loss counts once
            mean_2C = total_2C / ctx.count
            along_NCHW = centred_NCHW.mul_(_across(inverse_C * mean_2C[1], dtype)).add_(_across(mean_2C[0], dtype))
            of_input = (gradient_NCHW - along_NCHW).mul_(_across(scale_C, dtype)).to(x_NCHW.dtype)
        # Of weight and bias the own share only: it is summed over processes like that of any parameter.
        of_weight = dot_C.to(dtype) if ctx.needs_input_grad[1] else None
        of_bias = sum_C.to(dtype) if ctx.needs_input_grad[2] else None
        return of_input, of_weight, of_bias, None, None
