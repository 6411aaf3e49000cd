"""The space of `make sweep`: accepted with the base settings that the Makefile gives it."""

from pathlib import Path

from gan.config import GanConfig
from tune.space.acceptance import check_accepts
from tune.space.space import baseline
from tune.space.toml import load_space

ROOT = Path(__file__).parents[3]
SPACE = load_space(ROOT / "examples" / "shapes.toml")
BASE = GanConfig().with_values(
    {"batch": 32, "loss.name": "hinge", "network.spectral_norm": True, "optimizer.schedule": "linear"}
)


def test_it_is_accepted_and_begins_with_the_base_settings() -> None:
    check_accepts(SPACE, BASE, worker_counts=(1, 2))
    values = baseline(SPACE, BASE)
    assert BASE.with_values(values) == BASE


def test_make_sweep_searches_it() -> None:
    assert "--space examples/shapes.toml" in (ROOT / "Makefile").read_text()
