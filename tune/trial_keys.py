"""Names that a trial's configuration, result and saved state share between the searcher and the trainable."""

STATE_FILE = "state.safetensors"
# Keys of a trial's configuration that are no settings of the GAN.
NUMBER_KEY = "number"
RESTORE_KEY = "restore"
# Keys of a result: the tick's numbers, as pairs, and the reason when the trial failed by its own fault.
NUMBERS_KEY = "numbers"
FAILURE_KEY = "failure"
