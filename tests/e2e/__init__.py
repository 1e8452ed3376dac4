"""End-to-end tests: peerd as an outsider sees it, in a running sandbox."""
