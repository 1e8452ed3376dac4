"""Where the sandbox is known to differ from AWS, by the name of the result, with the reason."""

DEVIATIONS = {
    "vpc.limit 5 per region": "the default quota would stop every test, and it is adjustable",
    "ct.LookupEvents": "the sandbox turns calls into events at once and keeps no trail to look them up in",
}
