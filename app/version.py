"""The version of this Setpoint. ``CHANGELOG.md`` says what is in it."""

VERSION = "0.1.0"
