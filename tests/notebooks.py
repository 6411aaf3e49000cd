"""Runs notebooks in a kernel of this interpreter, whatever kernels are installed."""

import asyncio
import os
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

ROOT = Path(__file__).parent.parent


def executed(notebook: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, timeout_s: int = 120) -> Any:
    """The notebook with its outputs, run in `folder`.

    Raises: CellExecutionError with the traceback of a cell that failed.
    """
    for variable, name in (("IPYTHONDIR", "ipython"), ("JUPYTER_RUNTIME_DIR", "jupyter")):
        monkeypatch.setenv(variable, str(folder / f".{name}"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    # without folders to look into there is only ipykernel's own kernel, of this interpreter
    kernels = KernelSpecManager(kernel_dirs=[])
    client = nbclient.NotebookClient(
        notebook,
        km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=kernels),
        timeout=timeout_s,
        resources={"metadata": {"path": str(folder)}},
    )
    asyncio.run(client.async_execute(cleanup_kc=True))
    return notebook


def of_cells(*sources: str) -> Any:
    """A notebook of these cells."""
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])


def printed(cell: Any) -> str:
    """What a cell has printed, on stdout and stderr."""
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")
