"""Tags: per account and Region, so that the sides of a peering have separate tags unless they share both.

https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-basics.html
"""

from collections.abc import Callable
from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.models.tags import TagBackend
from moto.ec2.responses import EC2Response

from sandbox.ec2.errors import client_error
from sandbox.ec2.timeline import Timeline, read_time


def install() -> None:
    """Patches moto to record the history of each resource's tags, and to reject what AWS rejects."""
    for name in ("create_tags", "delete_tags", "delete_tag_keys"):
        setattr(TagBackend, name, _recording_history(getattr(TagBackend, name)))
    TaggedEC2Resource.get_tags = lambda self: tags_of(self.ec2_backend, self.id)
    EC2Backend.do_resources_exist = _requiring_visible_peerings(EC2Backend.do_resources_exist)


def tags_of(backend: EC2Backend, resource: str) -> list[dict[str, str]]:
    """Returns the tags of a resource as of the read time, without moto's search through all tags."""
    history = _histories(backend).get(resource)
    tags = history.at(read_time()) if history else {}
    return [{"key": key, "value": value} for key, value in tags.items()]


def _histories(backend: EC2Backend) -> dict[str, Timeline[dict[str, str]]]:
    return backend.__dict__.setdefault("_sandbox_tag_histories", {})


def _recording_history(change: Callable[..., bool]) -> Callable[..., bool]:
    def changed(self: EC2Backend, resource_ids: list[str], *args: Any, **kwargs: Any) -> bool:
        result = change(self, resource_ids, *args, **kwargs)
        for resource in resource_ids:
            tags = dict(self.tags.get(resource, {}))
            history = _histories(self).setdefault(resource, Timeline({}, at=0.0))
            history.set(tags)
        return result

    return changed


def refuse_reserved(call: EC2Response) -> None:
    """The prefix `aws:` is reserved: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html"""
    tag_lists = [call._get_param("Tags", []), *(one.get("Tags", []) for one in _specifications(call))]
    for tag in (tag for tags in tag_lists for tag in tags):
        if tag.get("Key", "").startswith("aws:"):
            raise client_error(
                "InvalidParameterValue", f"Tag keys starting with 'aws:' are reserved ({tag['Key']})"
            )


def _specifications(call: EC2Response) -> list[dict[str, Any]]:
    return call._get_param("TagSpecifications", []) or call._get_param("TagSpecification", [])


def _requiring_visible_peerings(
    check: Callable[[EC2Backend, list[str]], bool],
) -> Callable[[EC2Backend, list[str]], bool]:
    """A side can tag a peering only when the peering is visible to it."""

    def do_resources_exist(self: EC2Backend, resource_ids: list[str]) -> bool:
        for resource in resource_ids:
            if resource.startswith("pcx-"):
                self.get_vpc_peering_connection(resource)
        return check(self, [resource for resource in resource_ids if not resource.startswith("pcx-")])

    return do_resources_exist
