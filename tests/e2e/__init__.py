"""End-to-end tests of peerd in a running sandbox, as an external client."""
