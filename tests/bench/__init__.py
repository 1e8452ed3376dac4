"""Measures peerd in the sandbox and writes docs/benchmarks.md: `python -m tests.bench`."""
