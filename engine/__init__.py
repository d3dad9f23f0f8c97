"""The numerics of Setpoint: tables, surrogates, solvers, the process graph; no server needed."""
