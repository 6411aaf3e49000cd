"""What a resumed run may change, and whether it would go on at all."""

from common.errors import require
from common.settings import setting_paths
from gan.config import GanConfig
from gan.config_file import CONFIG_FILE
from gan.run_folder import RunFolder
from gan.training.health import verdicts

# What may differ when a run is resumed: how long it is, where the data are, and how fast it is computed.
CHANGEABLE = {
    *(
        "images",
        "precision",
        "compile",
        "network.gradient_checkpointing",
        "stopping.when",
        "stopping.patience",
    ),
    *("data.source", "data.root", "data.cache", "data.download", "evaluation.metric_weights"),
}


def check_goes_on(results: RunFolder, config: GanConfig, images_seen: int, where: str) -> None:
    """Raise `ConfigError` when the run would stop at once, for the verdict of its last ticks."""
    history = results.history(up_to_images=images_seen)
    trouble = config.stopping.stops(verdicts(history, config.evaluation.key()))
    require(
        trouble is None,
        f"--resume {where}: the run was stopped after {images_seen} images, "
        f"{trouble and trouble.name}: {trouble and trouble.evidence}; add --stop-when none to go on",
    )


def check_resumable(saved: GanConfig, wanted: GanConfig) -> None:
    """Raise `ConfigError` unless `wanted` differs from `saved` only in what a resumed run may change."""
    for path in setting_paths(GanConfig):
        before, now = saved.value(path), wanted.value(path)
        require(
            path in CHANGEABLE or before == now,
            f"--resume cannot change {path} from {before} to {now}; leave it out, or start a new run "
            f"with --config and the run's {CONFIG_FILE}",
        )
