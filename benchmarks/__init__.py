"""Measurements: how Setpoint compares with the plain way of doing the same, as ratios within one run."""
