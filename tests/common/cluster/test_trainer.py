"""What a run's controller, a process of its own, loads before it starts the workers."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray.cloudpickle

from common.cluster.placement import Resources
from common.storage.folder import Folder
from gan.config import GanConfig
from gan.raytrain import worker
from gan.raytrain.broadcast import ImageBroadcast
from tune.worker_groups import launcher
from tune.worker_groups.capacity import Capacity

ROOT = Path(__file__).parents[3]
LOAD = "import sys, ray.cloudpickle; ray.cloudpickle.load(sys.stdin.buffer); print('torch' in sys.modules)"


def run_of_a_gan(folder: Path) -> Any:
    resources, images = Resources(workers=2, cpus=1, gpu=False), ImageBroadcast("fingerprint")
    return worker.build_trainer(GanConfig(), Folder(str(folder)), resources, images, events=Any)


def worker_group_of_a_sweep(folder: Path) -> Any:
    config = launcher.WorkerGroupConfig(
        capacity=Capacity(groups=1, num_workers=2, min_workers=1, cpus=1, gpus=0),
        base=GanConfig(),
        images=ImageBroadcast("fingerprint"),
        storage_path=str(folder),
        name="sweep",
    )
    return launcher.build_trainer(config, 0, pool=None)


@pytest.mark.filterwarnings(r"ignore:`use_\w+` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("build", [run_of_a_gan, worker_group_of_a_sweep])
def test_a_controller_loads_no_pytorch_and_starts_no_process_for_data_sets(
    build: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (worker, launcher):
        monkeypatch.setattr(module, "worker_env", lambda _: {})
    trainer = build(tmp_path)
    callbacks = trainer._create_default_callbacks()
    assert not [callback for callback in callbacks if "Dataset" in type(callback).__name__]
    sent = ray.cloudpickle.dumps((trainer.train_run_context, trainer.scaling_config, callbacks))
    done = subprocess.run([sys.executable, "-c", LOAD], input=sent, capture_output=True, cwd=ROOT, check=True)
    assert done.stdout == b"False\n"
