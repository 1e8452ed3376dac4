"""A local AWS for peerd: the real templates and binaries, on 127.0.0.1, without an account. See README.md."""
