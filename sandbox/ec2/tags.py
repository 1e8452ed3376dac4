"""Tags: per account and Region, so that the sides of a peering have their own sets, unless they share both.

https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-basics.html
"""

from collections.abc import Callable
from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.models.tags import TagBackend
from moto.ec2.responses import EC2Response

from sandbox.ec2.errors import fail
from sandbox.ec2.timeline import Timeline, moment


def install() -> None:
    """Keeps the history of each tag set, and refuses what AWS refuses."""
    for name in ("create_tags", "delete_tags", "delete_tag_keys"):
        setattr(TagBackend, name, _remembering(getattr(TagBackend, name)))
    TaggedEC2Resource.get_tags = lambda self: tags_of(self.ec2_backend, self.id)
    EC2Backend.do_resources_exist = _seeing_peerings(EC2Backend.do_resources_exist)


def tags_of(backend: EC2Backend, resource: str) -> list[dict[str, str]]:
    """The tags of a resource as of the moment of reading. moto itself looks through every tag there is."""
    history = _histories(backend).get(resource)
    tags = history.at(moment()) if history else {}
    return [{"key": key, "value": value} for key, value in tags.items()]


def _histories(backend: EC2Backend) -> dict[str, Timeline[dict[str, str]]]:
    return backend.__dict__.setdefault("_sandbox_tag_histories", {})


def _remembering(change: Callable[..., bool]) -> Callable[..., bool]:
    def changed(self: EC2Backend, resource_ids: list[str], *args: Any, **kwargs: Any) -> bool:
        answer = change(self, resource_ids, *args, **kwargs)
        for resource in resource_ids:
            tags = dict(self.tags.get(resource, {}))
            history = _histories(self).setdefault(resource, Timeline({}, at=0.0))
            history.set(tags)
        return answer

    return changed


def refuse_reserved(call: EC2Response) -> None:
    """`aws:` is for AWS's own use: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html"""
    listed = [call._get_param("Tags", []), *(one.get("Tags", []) for one in _specifications(call))]
    for tag in (tag for tags in listed for tag in tags):
        if tag.get("Key", "").startswith("aws:"):
            raise fail("InvalidParameterValue", f"Tag keys starting with 'aws:' are reserved ({tag['Key']})")


def _specifications(call: EC2Response) -> list[dict[str, Any]]:
    return call._get_param("TagSpecifications", []) or call._get_param("TagSpecification", [])


def _seeing_peerings(
    check: Callable[[EC2Backend, list[str]], bool],
) -> Callable[[EC2Backend, list[str]], bool]:
    """A side can tag a peering only once it sees it."""

    def do_resources_exist(self: EC2Backend, resource_ids: list[str]) -> bool:
        for resource in resource_ids:
            if resource.startswith("pcx-"):
                self.get_vpc_peering_connection(resource)
        return check(self, [resource for resource in resource_ids if not resource.startswith("pcx-")])

    return do_resources_exist
