"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL as a backbone. The one door to transformers and peft.

Weights come from a folder, or from a hub id that is already in the local cache; nothing is fetched, no pickle and no
code of a model repository is ever run.

Legend: B images, C channels, H W rows and columns, L tokens of all images, P phrases, T tokens, D width, N regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from medground.imaging.preprocess import BLACK
from medground.model.backbones.interface import Backbone, Pyramid, Statement
from medground.model.backbones.qwen_config import LoraSize, Mode, QwenConfig
from medground.model.backbones.qwen_describer import SoftTokenDescriber
from medground.model.backbones.qwen_frame import FrameMap, PatchGrid, level_of, patches_of, window_order
from medground.model.backbones.qwen_language import QwenLanguage
from medground.model.backbones.qwen_levels import QwenLevels, QwenPhrases
from medground.model.roi import SAMPLES
from medground.schema.errors import BundleDamagedError, BundleMissingError, UsageError

try:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
    from peft import LoraConfig
    from peft.tuners.lora import LoraModel
    from transformers import AutoConfig, AutoModelForImageTextToText, AutoTokenizer, Qwen2VLImageProcessorPil
except ImportError as error:
    raise UsageError(f"the Qwen backbone needs more packages ({error}); pip install 'medground[qwen]'") from error

FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
VISION_LINEARS = r".*visual\.blocks\.\d+\.(attn\.(qkv|proj)|mlp\.(fc1|fc2|linear_fc1|linear_fc2|(gate|up|down)_proj))"
LANGUAGE_LINEARS = r".*language_model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)"


class QwenVl(Backbone):
    """A `Backbone` around pretrained towers; see `interface`.

    A tower without an open parameter is run without a graph. The language model is an exception in `description_loss`:
    the gradient of the soft token passes through it.

    Args:
        base: a Qwen model of transformers.
        tokenizer, image_processor: its own; of the latter only how grey values are scaled is used.
        config: sizes of the trained parts.
        mode: what of `base` learns.
        folder: where the weights came from.
    """

    mean_1311: Tensor
    std_1311: Tensor

    def __init__(
        self, base: Any, tokenizer: Any, image_processor: Any, config: QwenConfig, mode: Mode, folder: Path
    ) -> None:
        super().__init__()
        vision, text = base.config.vision_config, base.config.text_config
        self.base, self.tokenizer, self.image_processor = base, tokenizer, image_processor
        self.config, self.mode, self.folder = config, mode, folder
        self.grid = PatchGrid(int(vision.patch_size), int(vision.spatial_merge_size))
        self.frames = int(vision.temporal_patch_size)
        self.taps = tuple(round(share * (len(base.model.visual.blocks) - 1)) for share in (config.early, config.late))
        vision_width = base.model.visual.patch_embed.embed_dim
        self.levels = QwenLevels(vision_width, text.hidden_size, config.width)
        self.phrases = QwenPhrases(text.hidden_size, config.text_width)
        rms = float(base.model.language_model.embed_tokens.weight.detach().float().square().mean().sqrt())
        self.describer = SoftTokenDescriber(config.width, SAMPLES, text.hidden_size, rms, config)
        self.register_buffer("mean_1311", torch.tensor(image_processor.image_mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std_1311", torch.tensor(image_processor.image_std).view(1, 3, 1, 1), persistent=False)
        base.requires_grad_(mode is Mode.FULL)
        if mode is Mode.LORA:
            adapt(base, config.lora)

    @property
    def strides_px(self) -> tuple[int, ...]:
        """Half a patch, a patch, a merged cell: 7, 14, 28 for Qwen2 and 2.5, 8, 16, 32 for Qwen3."""
        return self.grid.strides_px

    @property
    def width(self) -> int:
        """Channels of every level."""
        return self.config.width

    @property
    def image_width(self) -> int:
        """Length of the image vector."""
        return self.config.width

    @property
    def text_width(self) -> int:
        """Length of a phrase vector."""
        return self.config.text_width

    @property
    def language(self) -> QwenLanguage:
        """The language model and its tokenizer."""
        return QwenLanguage(self.base, self.tokenizer, int(self.tokenizer.eos_token_id))

    def forward(self, images_BCHW: Tensor) -> Pyramid:
        """See `look`."""
        return self.look(images_BCHW)

    def given(self) -> frozenset[str]:
        """The pretrained weights, unless all learn; adapters are not among them."""
        if self.mode is Mode.FULL:
            return frozenset()
        return frozenset(n for n in self.state_dict() if n.startswith("base.") and "lora_" not in n)  # tied ones too

    def look(self, images_BCHW: Tensor) -> Pyramid:
        """Standardised grey images to three levels of strides `strides_px`, padded right and bottom to whole cells.

        Slices beside are left out: as colours they would be none that the pretrained weights know.
        """
        middle = images_BCHW.shape[1] // 2
        frame = FrameMap(images_BCHW.shape[3], images_BCHW.shape[2], self.grid)
        grey_B1HW = frame.pad(images_BCHW[:, middle : middle + 1], BLACK)
        rgb_B3HW = ((grey_B1HW - BLACK) / (-2 * BLACK)).clamp(0, 1).expand(-1, 3, -1, -1)
        rgb_B3HW = (rgb_B3HW - self.mean_1311) / self.std_1311
        with torch.set_grad_enabled(torch.is_grad_enabled() and _open(self.base.model.visual)):
            patches_LC = patches_of(rgb_B3HW, self.grid, self.frames)
            early, late, merged = self._vision(patches_LC, len(rgb_B3HW), *frame.patches)
        levels_BCHW = self.levels(early, late, merged)
        return Pyramid(levels_BCHW, levels_BCHW[-1].mean((2, 3)), self.strides_px)

    def _vision(self, patches_LC: Tensor, batch: int, rows: int, columns: int) -> tuple[Tensor, Tensor, Tensor]:
        """Early and late tokens (B, C, rows, columns) and merged tokens (B, C, rows / merge, columns / merge)."""
        visual, merge, seen = self.base.model.visual, self.grid.merge, dict[int, Tensor]()
        hooks = [
            visual.blocks[tap].register_forward_hook(lambda _m, _i, out, tap=tap: seen.__setitem__(tap, out))
            for tap in set(self.taps)
        ]
        try:
            grid = torch.tensor([[1, rows, columns]] * batch, device=patches_LC.device)
            merged_LC = visual(patches_LC.to(visual.dtype), grid_thw=grid).pooler_output
        finally:
            for hook in hooks:
                hook.remove()
        early, late = (
            level_of(self._in_order(seen[tap], batch, rows, columns), batch, rows, columns, merge) for tap in self.taps
        )
        return early, late, level_of(merged_LC, batch, rows // merge, columns // merge, 1)

    def _in_order(self, tokens_LC: Tensor, batch: int, rows: int, columns: int) -> Tensor:
        """Tokens of a block in raster order of cells: Qwen2.5-VL keeps them window by window inside its tower."""
        window_px = getattr(self.base.config.vision_config, "window_size", None)
        if window_px is None:
            return tokens_LC
        merge = self.grid.merge
        order = window_order(rows // merge, columns // merge, window_px // self.grid.multiple_px).to(tokens_LC.device)
        cells = tokens_LC.reshape(batch, len(order), merge**2, -1)
        return cells[:, order.argsort()].reshape(tokens_LC.shape)

    def read(self, phrases: Sequence[str]) -> Tensor:
        """Phrases to (P, D) unit vectors."""
        device = self.mean_1311.device
        if not phrases:
            return torch.zeros(0, self.text_width, device=device)
        language = self.language
        rows = [[*language.ids(phrase), language.end] for phrase in phrases]
        longest = max(len(row) for row in rows)
        ids_PT = torch.tensor([row + [language.end] * (longest - len(row)) for row in rows], device=device)
        keep_PT = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=device)
        with torch.set_grad_enabled(torch.is_grad_enabled() and _open(self.base.model.language_model)):
            states_PTD = language.states(language.embed(ids_PT), keep_PT)
        vectors_PD: Tensor = self.phrases(states_PTD, keep_PT)
        return vectors_PD

    def description_loss(self, regions_NCSS: Tensor, statements: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor]:
        """Teacher-forced loss of the statements of each region: sum over tokens, and how many."""
        return self.describer.loss(self.language, regions_NCSS, statements)

    def describe(self, regions_NCSS: Tensor, *, allowed: Sequence[str] | None = None) -> list[tuple[Statement, ...]]:
        """What is said about each region; from the closed list `allowed` if given."""
        return self.describer.decode(self.language, regions_NCSS, allowed)

    def liken(self, regions_NCSS: Tensor, groups: Sequence[Sequence[str]]) -> list[Tensor]:
        """How well the statements of each group fit each region."""
        return self.describer.liken(self.language, regions_NCSS, groups)

    def pretrained(self) -> Path:
        """Where they came from."""
        return self.folder

    def save_pretrained(self, folder: Path) -> None:
        """Writes the pretrained weights as they stand now, with tokenizer and image processor.

        Raises:
            OSError: if they cannot be written, e.g. on a full disk.
        """
        try:
            for part in (self.base, self.tokenizer, self.image_processor):
                part.save_pretrained(folder)
        except Exception as error:  # the Rust half of tokenizers and safetensors raises nothing narrower
            raise OSError(f"pretrained weights: {error}") from error


def adapt(base: Any, size: LoraSize) -> None:
    """Puts float32 adapters beside the linear maps of the towers, in place."""
    targets = [p for p, use in ((VISION_LINEARS, size.vision), (LANGUAGE_LINEARS, size.language)) if use]
    if not targets:
        raise UsageError("mode 'lora' needs adapters in a tower; set lora.vision or lora.language, or choose 'frozen'")
    lora = LoraConfig(r=size.rank, lora_alpha=size.alpha, lora_dropout=0.0, target_modules="|".join(targets))
    LoraModel(base, {"default": lora}, "default")  # it is `base` that changes
    for name, parameter in base.named_parameters():
        parameter.requires_grad_("lora_" in name)
        if "lora_" in name:
            parameter.data = parameter.data.float()


def load_qwen(
    source: str | Path,
    *,
    mode: Mode = Mode.FROZEN,
    dtype: torch.dtype = torch.bfloat16,
    gradient_checkpointing: bool = False,
    config: QwenConfig | None = None,
) -> QwenVl:
    """A backbone around the weights of a folder or hub id.

    Args:
        source: a folder as `save_pretrained` writes, or a hub id whose files are in the local cache.
        mode: what of the weights learns.
        dtype: of the towers; trained parts and adapters are float32.
        gradient_checkpointing: recompute blocks in the backward pass, in training mode.
        config: sizes of the trained parts.

    Raises:
        BundleMissingError: if there is neither.
        BundleDamagedError: if it cannot be read, or has no safetensors.
        UsageError: if it is no Qwen-VL model.
    """
    folder = _folder_of(source)
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        found = AutoConfig.from_pretrained(folder, **local)
        if found.model_type not in FAMILIES:
            known = ", ".join(FAMILIES)
            raise UsageError(f"{source} holds a model of type {found.model_type!r}; this backbone reads {known}")
        base = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype, use_safetensors=True, **local)
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        images = Qwen2VLImageProcessorPil.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise BundleDamagedError(
            f"the Qwen weights of {source} cannot be read: {str(error).splitlines()[0]}"
        ) from error
    if gradient_checkpointing:
        base.activation_checkpointing_enable({"use_reentrant": False})
    return QwenVl(base, tokenizer, images, config or QwenConfig(), mode, folder)


def _folder_of(source: str | Path) -> Path:
    if Path(source).is_dir():
        return Path(source)
    try:
        return Path(snapshot_download(str(source), local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError) as error:
        raise BundleMissingError(
            f"{source} is neither a folder nor a hub id in the local cache; fetch it first with `hf download`"
        ) from error


def _open(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())
