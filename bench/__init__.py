"""Measures the running program against floors taken in the same run: `make bench`, read with `bench/README.md`."""
