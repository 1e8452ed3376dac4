"""The responses of the sandbox, compared with the known responses of AWS."""
