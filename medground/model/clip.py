"""CLIP, from a folder of the user: which of several sentences says what a crop shows.

Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021, section 3.1.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer, CLIPImageProcessorPil, CLIPModel

from medground.schema.errors import UsageError

NEEDED = "config.json, preprocessor_config.json, the tokenizer's files and weights as .safetensors"
AT_ONCE = 16  # crops in one pass


class Clip:
    """A CLIP model of transformers.

    Args:
        folder: with weights as safetensors; nothing is fetched from anywhere.

    Raises:
        UsageError: if the folder holds no such model.
    """

    def __init__(self, folder: Path) -> None:
        files = sorted(path for path in folder.glob("*") if path.suffix in (".json", ".txt", ".model", ".safetensors"))
        if not any(path.suffix == ".safetensors" for path in files):
            raise UsageError(f"--clip {folder}: there is no CLIP model; it needs {NEEDED}")
        here: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            kind = AutoConfig.from_pretrained(folder, **here).model_type
            if kind != "clip":
                raise ValueError(f"its config is that of a {kind!r} model")
            self.model: Any
            self.model, report = CLIPModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
            if lost := sorted(report["missing_keys"]):
                raise ValueError(f"{len(lost)} of its weights are missing, e.g. {lost[0]}")
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, **here)
            self.processor: Any = CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UsageError(f"--clip {folder}: no CLIP model can be read ({reason}); it needs {NEEDED}") from error
        self.model.eval()
        self.name = folder.resolve().name
        digest = hashlib.sha256()
        for path in files:
            digest.update(path.name.encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        self.sha256 = digest.hexdigest()

    @torch.inference_mode()
    def probabilities(self, crops: Sequence[NDArray[np.float32]], sentences: Sequence[str]) -> Tensor:
        """How probable it is that each sentence says what a crop shows, if one of them does.

        Args:
            crops: grey, 0..1, (rows, columns) of any size.
            sentences: at least one.

        Returns:
            Table (crops, sentences); each row adds up to 1.

        Raises:
            UsageError: if damaged weights give no numbers.
        """
        read = self.tokenizer(list(sentences), padding=True, truncation=True, return_tensors="pt")
        tables = [self._table(crops[start : start + AT_ONCE], read) for start in range(0, len(crops), AT_ONCE)]
        return torch.cat(tables) if tables else torch.zeros(0, len(sentences))

    def _table(self, crops: Sequence[NDArray[np.float32]], read: Any) -> Tensor:
        coloured = [np.repeat(np.rint(crop * 255).astype(np.uint8)[..., None], 3, axis=2) for crop in crops]
        pixels = self.processor(coloured, return_tensors="pt", input_data_format="channels_last")["pixel_values"]
        logits: Tensor = self.model(pixel_values=pixels, **read).logits_per_image
        if not bool(logits.isfinite().all()):
            raise UsageError(f"the CLIP model {self.name!r} computes no numbers; its weights are damaged")
        return logits.softmax(-1)
