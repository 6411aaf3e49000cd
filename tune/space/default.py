"""What a sweep searches that names no space of its own."""

from gan.config import GanConfig
from gan.training.balance import policies_in_order
from tune.space.domains import Choice, Domain, Float, Int, setting_type
from tune.space.space import Space


def default_space(base: GanConfig | None = None) -> Space:
    """The space that a sweep searches by default: both learning rates, beta1, and the balance of the players.

    Policies and their ranges come from the registry of balance policies. Other ranges reach as far as the
    base's own values, with which a sweep begins.

    base: the settings that are not searched; default: those of `GanConfig`.
    """
    base = base or GanConfig()
    domains: dict[str, Domain] = {
        "optimizer.generator_lr": _learning_rate(base.optimizer.generator_lr),
        "optimizer.discriminator_lr": _learning_rate(base.optimizer.discriminator_lr),
        "optimizer.beta1": Float(0.0, max(0.9, base.optimizer.beta1)),
    }
    policies = {
        name: policy for name, policy in policies_in_order().items() if policy.search_place is not None
    }
    domains["balance.policy"] = Choice(tuple(policies))
    for name, policy in policies.items():
        for setting, (low, high, log) in policy.search_ranges.items():
            path, when = f"balance.{setting}", {"balance.policy": (name,)}
            if setting_type(path) is int:
                domains[path] = Int(int(low), int(high), log=log, when=when)
            else:
                domains[path] = Float(low, high, log=log, when=when)
    return Space(domains)


def _learning_rate(own: float) -> Float:
    return Float(min(1e-5, own), max(2e-3, own), log=True)
