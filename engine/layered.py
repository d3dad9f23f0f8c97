"""The modules of a process, each solved on its own: once from the top, or in rounds of talks.

Notation of the talks, for each link
    t, r    target of the upper module, value that the lower one reaches; c = (t - r) / sd
    v, w    multiplier and WEIGHT: both sides are charged v c + (w c)^2, and after each round
            v <- v + 2 w^2 c                                                                              (1)
    An input from outside that several modules take is talked of as well: t is what the uppermost of them sets, and
    r what another one would set. Fixed by the first to ask, the others could not tell what it costs them.

Sources
    Kim, Michelena, Papalambros and Jiang (2003), J. Mechanical Design 125, 474-480: target cascading.
    (1)  Tosserams, Etman, Papalambros and Rooda (2006), Struct. Multidisc. Optim. 31, 176-189.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.evaluator import Evaluator, Report
from engine.expressions import as_reference
from engine.layers import Share, Target, check_layers, link_variables, problem_of, shares
from engine.problem import Limit, Problem, Term, Variable
from engine.process_model import ProcessModel
from engine.stages import Stages
from engine.trust import Envelope

ROUNDS = 40
WEIGHT = 0.3
"""Of a miss of one standard deviation. It stays: weights that grow bring the layers together sooner, but freeze them
where they are before the prices have told what would be better."""

CLOSE = 0.01
"""A link whose miss is below this many standard deviations is hit."""

LEAST_BUDGET = 40
"""Evaluations that one search of a module gets at least."""


@dataclass(frozen=True)
class Round:
    """One round of the talks: the worst miss by then, and what the composed models give."""

    number: int
    worst_miss_sd: float
    objective: float
    violation: float


@dataclass
class Found:
    """What a mode came to.

    Attributes:
        decided: input from outside -> its value.
        promised: the objective that the modules promise, each on its own; None where none was promised.
        targets: linked output -> what it was asked to be.
        reached: output -> what its module promised alone.
        wanted: linked output -> what the uppermost module that takes it wants of it.
        copies: (module, shared input) -> what the module would have it be; the uppermost one of those that share it
            decides. In talks only.
        rounds: of the talks.
        notes: for people.
    """

    decided: dict[str, float]
    promised: float | None = None
    targets: dict[str, Target] = field(default_factory=dict)
    reached: dict[str, float] = field(default_factory=dict)
    wanted: dict[str, float] = field(default_factory=dict)
    copies: dict[tuple[str, str], float] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def promise(self, report: Report, n_terms: int) -> None:
        """Add what a module promises: the costs of its own terms, which come first."""
        self.promised = (self.promised or 0.0) + sum(term.weight * term.cost for term in report.terms[:n_terms])


Pair = str | tuple[str, str]
"""What two modules talk of: a linked output, or (module, shared input) of one that does not decide it."""


class Layers:
    """The modules of a process, each solved on its own."""

    def __init__(
        self,
        process: ProcessModel,
        problem: Problem,
        evaluator: Evaluator,
        envelopes: Mapping[str, Envelope],
        stages: Stages,
        budget: int,
        current: Mapping[str, float] | None,
    ) -> None:
        check_layers(process, problem)
        # with every scale filled in over the whole process, so that a term counts the same in every module
        self._shares = shares(process, evaluator.problem)
        self._process, self._problem, self._evaluator = process, problem, evaluator
        joint = process.envelope(envelopes)
        self._envelopes: Mapping[str, Envelope] = joint.parts if joint else {}
        self._stages, self._budget, self._current = stages, budget, current or {}
        free = [variable.tag for variable in problem.variables]
        self._variables = {variable.tag: variable for variable in problem.variables} | link_variables(process)
        self._unit = evaluator.objective_spread()  # what a miss of one sd is charged with at first
        self._linked = {link.source_tag for link in process.graph.links}
        takers = {tag: [name for name, share in self._shares.items() if tag in share.part.sources] for tag in free}
        self._followers = [(name, tag) for tag, names in takers.items() for name in names[1:]]

    def cascade(self) -> Found:
        """Solve every module once, from the top."""
        n_searches = sum(2 if share.terms and self._is_linked(share) else 1 for share in self._shares.values())
        each = max(LEAST_BUDGET, self._budget // n_searches)
        found = Found(dict(self._problem.fixed), promised=0.0, notes=self._too_little(n_searches))
        for share in self._shares.values():
            targets = self._targets(share, found)
            report = self._solve_in_order(share, targets, found, each)
            if report:
                found.promise(report, len(share.terms))
            self._take(share, report, found, targets)
        return found

    def negotiated(self) -> Found:
        """Solve every module again and again, each charged for what is between it and its neighbors."""
        each, n_rounds = self._budget // (ROUNDS * len(self._shares)), ROUNDS
        if each < LEAST_BUDGET:
            each, n_rounds = LEAST_BUDGET, max(1, self._budget // (LEAST_BUDGET * len(self._shares)))
        too_little = self._too_little(len(self._shares))
        pairs: list[Pair] = [*self._linked, *self._followers]
        v = dict.fromkeys(pairs, 0.0)
        tried: list[Found] = []
        rounds: list[Round] = []
        starts: dict[str, Mapping[str, float]] = {}
        for number in range(1, n_rounds + 1):
            before = tried[-1] if tried else None
            found = self._round(number, each, before, starts, v)
            tried.append(found)
            rounds.append(self._composed(number, found))
            if rounds[-1].worst_miss_sd < CLOSE and before and self._moved(before, found) < CLOSE:
                break
            for pair in pairs:
                v[pair] += 2 * WEIGHT**2 * self._gap(pair, found)  # (1)
        best = min(rounds, key=lambda each: (each.violation, each.objective))
        chosen = tried[best.number - 1]
        chosen.rounds = rounds
        chosen.notes += too_little
        if best.worst_miss_sd >= CLOSE:
            chosen.notes.append(
                f"The talks ended after {len(rounds)} rounds without agreement; in the best of them, round"
                f" {best.number}, the worst link misses by {best.worst_miss_sd:.3g} sd. This is the nearest that was"
                " reached: a larger budget may bring the layers nearer, or they cannot meet."
            )
        return chosen

    def _round(
        self,
        number: int,
        budget: int,
        before: Found | None,
        starts: dict[str, Mapping[str, float]],
        v: Mapping[Pair, float],
    ) -> Found:
        """Solve every module once, charged for the distance to what its neighbors said last."""
        found = Found(dict(self._problem.fixed), promised=0.0)
        for share in self._shares.values():
            name, targets = share.part.name, self._targets(share, found)
            terms = [*share.terms, *(self._price(each, -v[each.tag]) for each in targets)]  # c = t - r
            terms += self._prices_of_links(share, before.reached if before else {}, v)
            terms += self._prices_of_shared(share, found, before, v)
            terms = terms or self._nothing_asked(share, found)
            own = [tag for follower, tag in self._followers if follower == name]
            decided = {tag: x for tag, x in self._decided(share, found).items() if tag not in own}
            report = self._solve(f"{name}, round {number}", share, terms, decided, budget, start=starts.get(name))
            if report:
                starts[name] = report.inputs
                found.promise(report, len(share.terms))
                found.copies |= {(name, tag): report.inputs[tag] for tag in own}
            self._take(share, report, found, targets)
        return found

    def _too_little(self, n_searches: int) -> list[str]:
        """Return a note where the budget does not serve so many searches, and count on what they are given."""
        needed = LEAST_BUDGET * n_searches
        if self._budget >= needed:
            return []
        self._stages.budget = needed
        return [
            f"A budget of {self._budget} is too little for {n_searches} searches of modules: each was given"
            f" {LEAST_BUDGET} evaluations."
        ]

    def _gap(self, pair: Pair, found: Found) -> float:
        """Return c of a link, or of an input that modules share, in sd: leader - follower."""
        if isinstance(pair, str):
            return (found.wanted[pair] - found.reached[pair]) / self._process.sd_of(pair)
        return (found.decided[pair[1]] - found.copies[pair]) / self._size(pair[1])

    def _size(self, tag: str) -> float:
        """Return what counts as one sd of an input from outside: that of values spread evenly over its range."""
        return (self._variables[tag].upper - self._variables[tag].lower) / math.sqrt(12) or 1.0

    def _moved(self, before: Found, found: Found) -> float:
        """Return the farthest that a target has moved in a round, in sd: talks may agree long before they are done."""
        return max(
            (abs(x - before.wanted[tag]) / self._process.sd_of(tag) for tag, x in found.wanted.items()), default=0.0
        )

    def _composed(self, number: int, found: Found) -> Round:
        """Return what the composed models say of a round, and the worst miss of what was wanted."""
        point = self._evaluator.report([found.decided[variable.tag] for variable in self._problem.variables])
        misses = [
            abs(found.wanted[tag] - point.outputs[tag]) / self._process.sd_of(tag)
            for tag in self._linked
            if tag in found.wanted
        ]
        return Round(number, max(misses, default=0.0), point.objective, point.total_violation)

    def _solve_in_order(self, share: Share, targets: Sequence[Target], found: Found, budget: int) -> Report | None:
        """Solve for the targets first, then for the module's own terms among what hits them as well."""
        name, decided = share.part.name, self._decided(share, found)
        if not targets:
            terms = share.terms or self._nothing_asked(share, found)
            return self._solve(name, share, terms, decided, budget)
        misses = [Term("minimize", target.miss, scale=1.0) for target in targets]
        hit = self._solve(f"{name}, targets", share, misses, decided, budget)
        if hit is None or not share.terms:
            return hit
        missed = sum(term.value for term in hit.terms)
        total = " + ".join(target.miss for target in targets)
        kept = Limit(total, upper=missed + CLOSE * len(targets), scale=1.0)
        return self._solve(
            f"{name}, own objective", share, share.terms, decided, budget, limits=[kept], start=hit.inputs
        )

    def _solve(
        self,
        stage: str,
        share: Share,
        terms: Sequence[Term],
        decided: Mapping[str, float],
        budget: int,
        *,
        limits: Sequence[Limit] = (),
        start: Mapping[str, float] | None = None,
    ) -> Report | None:
        """Return the best point of a module; None if nothing of it is free."""
        if all(tag in decided for tag in share.part.sources):
            return None
        problem = problem_of(share, variables=self._variables, decided=decided, terms=terms, limits=limits)
        now = {**{variable.tag: _middle(variable) for variable in problem.variables}, **self._current}
        return self._stages.solve(
            stage,
            problem,
            share.part,
            budget,
            envelope=self._envelopes.get(share.part.name),
            start=start or {variable.tag: now[variable.tag] for variable in problem.variables},
        )

    def _targets(self, share: Share, found: Found) -> list[Target]:
        asked = {link.source_tag: link.module for link in self._process.graph.links}
        return [
            Target(tag, found.wanted[tag], self._process.sd_of(tag), asked[tag])
            for tag in share.part.outputs
            if tag in found.wanted
        ]

    def _decided(self, share: Share, found: Found) -> dict[str, float]:
        """Return the inputs of a module that are not its own to choose any more."""
        known = {**found.decided, **found.wanted}
        return {tag: known[tag] for tag in share.part.sources if tag in known}

    def _take(
        self,
        share: Share,
        report: Report | None,
        found: Found,
        targets: Sequence[Target],
    ) -> None:
        """Note what a module has decided, what it wants of those below it, and what it reaches itself."""
        found.targets |= {target.tag: target for target in targets}
        if report is None:
            inputs = self._decided(share, found)
            Y = share.part.predict([[inputs[tag] for tag in share.part.sources]])[0]
            found.reached |= dict(zip(share.part.outputs, map(float, Y), strict=True))
            return
        for variable in report.variables:
            if variable.tag in self._linked:
                found.wanted[variable.tag] = variable.value
            elif variable.tag not in found.decided:
                found.decided[variable.tag] = variable.value
        found.reached |= dict(report.outputs)

    def _prices_of_links(self, share: Share, reached: Mapping[str, float], v: Mapping[Pair, float]) -> list[Term]:
        """Return what a module is charged for wanting else than what those below it have reached."""
        return [
            self._price(Target(tag, reached[tag], self._process.sd_of(tag), share.part.name), v[tag])
            for tag in share.part.sources
            if tag in self._linked and tag in reached
        ]

    def _prices_of_shared(
        self, share: Share, found: Found, before: Found | None, v: Mapping[Pair, float]
    ) -> list[Term]:
        """Return what a module is charged for wanting else of a shared input than those it shares it with."""
        terms = []
        for pair in self._followers:
            name, tag = pair
            if name == share.part.name:
                target = Target(tag, found.decided[tag], self._size(tag), name)
                terms.append(self._price(target, -v[pair]))
            elif tag in share.part.sources and tag not in found.decided and before is not None:
                target = Target(tag, before.copies[pair], self._size(tag), name)
                terms.append(self._price(target, v[pair]))
        return terms

    def _price(self, target: Target, v: float) -> Term:
        """Return the term that charges a module for its distance to the other side of a link, in sd: (1)."""
        distance = f"({as_reference(target.tag)} - ({target.value!r})) / {target.sd!r}"
        return Term("minimize", f"({v!r}) * {distance} + ({WEIGHT!r} * {distance}) ** 2", weight=self._unit, scale=1.0)

    def _nothing_asked(self, share: Share, found: Found) -> list[Term]:
        """Return the term of a module of which nothing is asked: to stay at the operating point, or in the middle."""
        found.notes.append(f"Nothing is asked of {share.part.name!r}: it stays where it is.")
        decided = self._decided(share, found)
        free = [tag for tag in share.part.sources if tag not in decided]
        now = {**{tag: _middle(self._variables[tag]) for tag in free}, **self._current}
        sizes = {tag: self._variables[tag].upper - self._variables[tag].lower or 1.0 for tag in free}
        return [Term("target", as_reference(tag), value=now[tag], scale=sizes[tag]) for tag in free]

    def _is_linked(self, share: Share) -> bool:
        return any(tag in self._linked for tag in share.part.outputs)


def _middle(variable: Variable) -> float:
    middle = variable.lower / 2 + variable.upper / 2
    return middle if variable.type == "real" else variable.lower
