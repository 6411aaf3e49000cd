"""Generators as programs of torch.export, for PyTorch without this project."""

import copy
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gan.export.format import Floats, Format, Run

if TYPE_CHECKING:
    from torch import Tensor, nn

ABOUT = "about.json"
"""Name of the extra file that holds the metadata, a JSON object of texts."""


def _to_bytes(generator: "nn.Module", latents: "Tensor", about: Mapping[str, str]) -> bytes:
    import torch

    # in plain order: weights in channels-last order are not found whole when they are saved (torch 2.14)
    plain = copy.deepcopy(generator).to(memory_format=torch.contiguous_format)
    program = torch.export.export(plain, (latents,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # names folders of this machine
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={ABOUT: json.dumps(about)})
    return buffer.getvalue()


def _read(path: Path) -> tuple[Run, dict[str, str]]:
    import torch

    extra_files: dict[str, str] = {ABOUT: ""}
    generator = torch.export.load(path, extra_files=extra_files).module()

    def run(latents: Floats) -> Floats:
        with torch.no_grad():
            images: Floats = generator(torch.from_numpy(latents)).numpy()
        return images

    return run, json.loads(extra_files[ABOUT])


FORMAT = Format(suffix=".pt2", to_bytes=_to_bytes, read=_read)
