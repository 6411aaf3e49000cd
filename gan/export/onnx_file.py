"""Generators as ONNX files, for ONNX Runtime and others."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gan.export.format import Floats, Format, Run

if TYPE_CHECKING:
    from torch import Tensor, nn

LATENTS, IMAGES = "latents", "images"


def _to_bytes(generator: "nn.Module", latents: "Tensor", about: Mapping[str, str]) -> bytes:
    import torch

    exported = torch.onnx.export(
        generator,
        (latents,),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        input_names=[LATENTS],
        output_names=[IMAGES],
        verbose=False,
    )
    assert exported is not None, "with dynamo the exporter returns what it made"
    exported.model.metadata_props.update(about)
    model = exported.model_proto
    for node in (*model.graph.node, *(node for function in model.functions for node in function.node)):
        node.ClearField("metadata_props")  # for debugging; names folders of this machine
    data: bytes = model.SerializeToString()
    return data


def _read(path: Path) -> tuple[Run, dict[str, str]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(latents: Floats) -> Floats:
        images: Floats = session.run([IMAGES], {LATENTS: latents})[0]
        return images

    return run, dict(session.get_modelmeta().custom_metadata_map)


FORMAT = Format(
    suffix=".onnx", packages=("onnx", "onnxscript", "onnxruntime"), to_bytes=_to_bytes, read=_read
)
