"""Setpoint on one machine with one command: starts every process it needs and takes them down together.

`python -m launcher run` keeps a server on `instance/`; `python -m launcher demo` starts one on
`instance/demo/`, drives the example through it and stops it. The launcher knows the application only by
its command lines (commands.py) and its environment variables: it imports nothing of `app` or `engine`.
"""
