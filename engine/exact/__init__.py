"""Proofs: how far an answer is from the best there can be, over models that a mixed-integer program can hold."""

from engine.exact.certificate import Certificate, certify
from engine.exact.program import NotEligible, eligible

__all__ = ["Certificate", "NotEligible", "certify", "eligible"]
