"""Keys of a trial's configuration, results and checkpoints, which searcher, trainable and records share."""

STATE_FILE = "state.safetensors"
# Keys of a trial's configuration that are not settings of the GAN.
NUMBER_KEY = "number"
RESTORE_KEY = "restore"
# Keys of a result: the tick's metrics, as pairs; whether the trial has seen all its images; and the reason
# when it failed by its own fault.
METRICS_KEY = "metrics"
COMPLETE_KEY = "is_complete"
FAILURE_KEY = "failure"
