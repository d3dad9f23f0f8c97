"""How far a work is, told by its parts."""

from engine.surrogates.params import OnStep


def part(on_step: OnStep | None, i: int, n: int) -> OnStep:
    """Return what part i, from 0, of n equal parts tells its progress to, so that ``on_step`` is told that of all.

    Args:
        on_step: is told the share of the whole that is done; None where nobody watches.
    """
    return lambda share: on_step((i + share) / n) if on_step else None
