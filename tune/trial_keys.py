"""Keys of a trial's configuration, results and checkpoints, which searcher, trainable and records share."""

STATE_FILE = "state.safetensors"
# Keys of a trial's configuration that are not settings of the GAN.
NUMBER_KEY = "number"
RESTORE_KEY = "restore"
# Keys of a tick beside its numbers, and of its result: the worker group that trained it, and that one's node.
GROUP_KEY = "worker_group"
NODE_KEY = "node"
# Keys of a result: the tick's metrics, as pairs; the step at which trials are compared
# (`GanConfig.nominal_images`); whether the trial has seen all its images; why it failed by its own fault; the
# `Verdict` on the trial, and whether it is stopped for that; a small grid of samples, a WebP file's content,
# which is taken out before Tune keeps the result.
METRICS_KEY = "metrics"
NOMINAL_KEY = "nominal_images"
COMPLETE_KEY = "is_complete"
FAILURE_KEY = "failure"
VERDICT_KEY = "verdict"
STOPPED_KEY = "stopped"
GRID_KEY = "grid"
