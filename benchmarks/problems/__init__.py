"""Test problems with known optima, computed for whole populations.

    bbob            the 24 noiseless functions of the Black-Box Optimization Benchmarking workshops, any instance
    cec2006         the 24 constrained problems g01 to g24 of CEC 2006

Each is written from its published definition and held to published points in tests/benchmarks.
"""
