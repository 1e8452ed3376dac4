"""The known deviations of the sandbox from AWS, by the name of the result, with the reason.

What AWS does: https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html and
https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
"""

DEVIATIONS = {
    "vpc.limit 5 per region": "the default quota would stop every test, and it is adjustable",
    "ct.LookupEvents": "the sandbox emits events immediately and stores no events to look up",
}
