"""What AWS evaluates for each action: the resource types, and the condition keys of each of them.

From the service authorization reference (a test compares this table with a published copy of it):
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html

The table decides which keys a policy can see: a condition on any other key finds no value, as on AWS. It has
the actions that peerd's functions and its command line call. The key "" has the condition keys of an action
on any resource. A tag key stands for all tags: `aws:ResourceTag` for `aws:ResourceTag/peerd:env`.
"""

from collections.abc import Mapping

Keys = tuple[str, ...]

REQUEST_TAGS: Keys = ("aws:RequestTag", "aws:TagKeys")
RESOURCE_TAGS: Keys = ("aws:ResourceTag", "ec2:ResourceTag")
_VPC: Keys = (*RESOURCE_TAGS, "ec2:VpcID", "ec2:Tenancy")
_PEERS: Keys = ("ec2:AccepterVpc", "ec2:RequesterVpc", "ec2:VpcPeeringConnectionID")
_PEERING: Keys = (*RESOURCE_TAGS, *_PEERS)
_TABLE: Keys = (*RESOURCE_TAGS, "ec2:RouteTableID", "ec2:Vpc")
_GROUP: Keys = (*RESOURCE_TAGS, "ec2:SecurityGroupID", "ec2:Vpc")
_ITEM: Mapping[str, Keys] = {"table": (), "": ("dynamodb:LeadingKeys", "dynamodb:EnclosingOperation")}
_QUEUE: Mapping[str, Keys] = {"queue": ()}
_RULE: Mapping[str, Keys] = {"rule-on-default-event-bus": (), "rule-on-custom-event-bus": ()}
_PARENT: Mapping[str, Keys] = {"root": (), "organizationalunit": ()}
_READ: Mapping[str, Keys] = {"": ("ec2:Region",)}

EC2_ACTIONS: Mapping[str, Mapping[str, Keys]] = {
    "ec2:DescribeVpcs": _READ,
    "ec2:DescribeVpcPeeringConnections": _READ,
    "ec2:DescribeRouteTables": _READ,
    "ec2:DescribeSecurityGroups": _READ,
    "ec2:DescribeSecurityGroupRules": _READ,
    "ec2:DescribeNetworkAcls": _READ,
    "ec2:DescribeSubnets": _READ,
    "ec2:DescribeNetworkInterfaces": _READ,
    "ec2:DescribeRegions": _READ,
    "ec2:DescribeVpcAttribute": {"vpc": _VPC, "": ("ec2:Region",)},
    "ec2:GetManagedPrefixListEntries": {"prefix-list": RESOURCE_TAGS, "": ("ec2:Region",)},
    "ec2:CreateVpcPeeringConnection": {
        "vpc": _VPC,
        "vpc-peering-connection": (*REQUEST_TAGS, *_PEERS),
        "": ("ec2:Region",),
    },
    "ec2:AcceptVpcPeeringConnection": {"vpc": _VPC, "vpc-peering-connection": _PEERING, "": ("ec2:Region",)},
    "ec2:DeleteVpcPeeringConnection": {"vpc-peering-connection": _PEERING, "": ("ec2:Region",)},
    "ec2:ModifyVpcPeeringConnectionOptions": {"vpc-peering-connection": _PEERING, "": ("ec2:Region",)},
    "ec2:CreateRoute": {"route-table": _TABLE, "": ("ec2:Region",)},
    "ec2:ReplaceRoute": {"route-table": _TABLE, "": ("ec2:Region",)},
    "ec2:DeleteRoute": {"route-table": _TABLE, "": ("ec2:Region",)},
    # A rule is evaluated only if the call gives it tags. A rule that is revoked is never evaluated.
    "ec2:AuthorizeSecurityGroupIngress": {
        "security-group": _GROUP,
        "security-group-rule": REQUEST_TAGS,
        "": ("ec2:Region",),
    },
    "ec2:RevokeSecurityGroupIngress": {"security-group": _GROUP, "": ("ec2:Region",)},
    "ec2:CreateTags": {
        "vpc": (*REQUEST_TAGS, *_VPC),
        "vpc-peering-connection": (*REQUEST_TAGS, *_PEERING),
        "route-table": (*REQUEST_TAGS, *_TABLE),
        "security-group": (*REQUEST_TAGS, *_GROUP),
        "security-group-rule": (*REQUEST_TAGS, *RESOURCE_TAGS),
        "": ("ec2:Region", "ec2:CreateAction"),
    },
    "ec2:DeleteTags": {
        "vpc": (*REQUEST_TAGS, *RESOURCE_TAGS),
        "vpc-peering-connection": (*REQUEST_TAGS, *RESOURCE_TAGS),
        "route-table": (*REQUEST_TAGS, *RESOURCE_TAGS),
        "security-group": (*REQUEST_TAGS, *RESOURCE_TAGS),
        "security-group-rule": (*REQUEST_TAGS, *RESOURCE_TAGS),
        "": ("ec2:Region",),
    },
}

ACTIONS: Mapping[str, Mapping[str, Keys]] = {
    **EC2_ACTIONS,
    "sts:AssumeRole": {"role": (), "": ("sts:ExternalId", "sts:RoleSessionName")},
    "dynamodb:GetItem": _ITEM,
    "dynamodb:PutItem": _ITEM,
    "dynamodb:UpdateItem": _ITEM,
    "dynamodb:DeleteItem": _ITEM,
    "dynamodb:ConditionCheckItem": {"table": (), "": ("dynamodb:LeadingKeys",)},
    "dynamodb:Query": {"table": (), "": ("dynamodb:LeadingKeys",)},
    "sqs:SendMessage": _QUEUE,
    "sqs:ReceiveMessage": _QUEUE,
    "sqs:DeleteMessage": _QUEUE,
    "sqs:GetQueueAttributes": _QUEUE,
    "events:PutEvents": {
        "event-bus": (),
        "": ("events:source", "events:detail-type", "events:eventBusInvocation"),
    },
    "events:DescribeRule": _RULE,
    "events:ListTargetsByRule": _RULE,
    "events:DescribeEventBus": {"event-bus": ()},
    "scheduler:GetSchedule": {"schedule": ()},
    "dynamodb:DescribeTable": {"table": ()},
    "dynamodb:DescribeContinuousBackups": {"table": ()},
    "lambda:GetFunctionConcurrency": {"function": ()},
    "lambda:ListEventSourceMappings": {},
    "lambda:GetAccountSettings": {},
    "cloudwatch:DescribeAlarms": {"alarm": ()},
    "organizations:ListPolicies": {"": ("organizations:PolicyType",)},
    "organizations:DescribePolicy": {"policy": (), "": ("organizations:PolicyType",)},
    "organizations:ListTargetsForPolicy": {"policy": (), "": ("organizations:PolicyType",)},
    "secretsmanager:GetSecretValue": {"Secret": ()},  # the name in the reference
    "organizations:ListAccountsForParent": _PARENT,
    "organizations:ListOrganizationalUnitsForParent": _PARENT,
    "servicequotas:ListServiceQuotas": {},
    "cloudtrail:DescribeTrails": {},
    "cloudtrail:GetTrailStatus": {"trail": ()},
    "cloudtrail:GetEventSelectors": {"trail": ()},
    "lambda:InvokeFunction": {"function": ()},
    "cloudformation:DescribeStacks": {"stack": ()},
    # Lambda makes these two calls with the role of the function.
    "logs:CreateLogStream": {"log-stream": ()},
    "logs:PutLogEvents": {"log-stream": ()},
}


def visible_keys(action: str, resource_type: str) -> set[str]:
    """Returns the condition keys that AWS provides for an action on a type of resource."""
    types = ACTIONS.get(action, {})
    return {*types.get(resource_type, ()), *types.get("", ())}
