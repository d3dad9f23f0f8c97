"""Reading an upload into a data set version."""
