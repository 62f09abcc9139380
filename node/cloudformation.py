"""CloudFormation's YAML as plain data. Whatever is not understood raises Misconfigured, in one line
that names the resource."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import yaml

from recado.errors import Misconfigured

try:
    from yaml import CSafeLoader as FastLoader  # every command reads the template: 15 ms, not 100
except ImportError:
    from yaml import SafeLoader as FastLoader  # type: ignore[assignment] # where there is no libyaml

Tree: TypeAlias = dict[str, Any]


class _Loader(FastLoader):
    """Reads the short forms as the long ones that they stand for: `!Ref X` is {"Ref": "X"},
    `!GetAtt X.Arn` is {"Fn::GetAtt": ["X", "Arn"]}."""


class _ExactLoader(yaml.SafeLoader):
    """The same; slower, but it says where a fault is, and shows it."""


def _short_form(loader: _Loader | _ExactLoader, tag: str, node: yaml.Node) -> Tree:
    value: Any
    if isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = node.value
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _short_form)
_ExactLoader.add_multi_constructor("!", _short_form)


def load(path: Path) -> Tree:
    """A template that has Resources. Raises Misconfigured where the file is none."""
    try:
        template = _parsed(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Misconfigured(f"{path.name}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise Misconfigured(f"{path.name}: {' '.join(str(error).split())}") from error
    if not isinstance(template, dict) or not isinstance(template.get("Resources"), dict):
        raise Misconfigured(f"{path.name}: Resources is missing")
    return template


def _parsed(text: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 # it is a SafeLoader
    except yaml.YAMLError:
        return yaml.load(text, Loader=_ExactLoader)  # noqa: S506 # it is a SafeLoader


_NONE_GIVEN: Mapping[str, str] = MappingProxyType({})


def of_type(
    template: Tree, kind: str, given: Mapping[str, str] = _NONE_GIVEN
) -> Iterator[tuple[str, Tree]]:
    """Logical id and properties of each resource of a type that is there with the given parameters
    and the defaults of all others. Nothing is worked out for resources of other types."""
    for name, resource in template["Resources"].items():
        if isinstance(resource, dict) and resource.get("Type") == kind:
            unconditional = "Condition" not in resource
            if unconditional or holds(template, text(name, resource, "Condition"), given):
                yield name, mapping(name, resource, "Properties")


def holds(template: Tree, condition: str, given: Mapping[str, str] = _NONE_GIVEN) -> bool:
    """Whether one of the template's conditions is true with the given parameters and the defaults
    of all others."""
    conditions = mapping("the template", template, "Conditions")
    values = parameter_values(template, given)
    return _is_true(_needed("Conditions", conditions, condition), condition, conditions, values)


def _is_true(part: Any, condition: str, conditions: Tree, values: Mapping[str, str]) -> bool:
    """`condition`: whose part it is."""
    match part:
        case {"Fn::Equals": [one, other]}:
            return _side(one, condition, values) == _side(other, condition, values)
        case {"Fn::Not": [inner]}:
            return not _is_true(inner, condition, conditions, values)
        case {"Fn::And": [*inner]}:
            return all([_is_true(it, condition, conditions, values) for it in inner])
        case {"Fn::Or": [*inner]}:
            return any([_is_true(it, condition, conditions, values) for it in inner])
        case {"Condition": str(name)}:
            return _is_true(_needed("Conditions", conditions, name), name, conditions, values)
    raise not_understood("Conditions", condition, part)


def _side(part: Any, condition: str, values: Mapping[str, str]) -> str:
    """What stands on one side of an !Equals."""
    match part:
        case str():
            return part
        case {"Ref": str(name)} if name in values:
            return values[name]
    raise not_understood("Conditions", condition, part)


def parameter_values(template: Tree, given: Mapping[str, str] = _NONE_GIVEN) -> dict[str, str]:
    """What each parameter stands for, as far as it is given or has a default."""
    declared = mapping("the template", template, "Parameters")
    for name in given:
        _needed("Parameters", declared, name)  # a slip must not pass for one without effect
    defaults = {name: str(told["Default"]) for name, told in declared.items() if "Default" in told}
    return {**defaults, **given}


def mapping(where: str, properties: Tree, name: str) -> Tree:
    """A property that is a mapping itself; empty where it is missing."""
    value = properties.get(name) or {}
    if not isinstance(value, dict):
        raise not_understood(where, name, value)
    return value


def text(where: str, properties: Tree, name: str) -> str:
    """A property that is written out, and no !If or !Sub that CloudFormation would work out."""
    value = _needed(where, properties, name)
    if not isinstance(value, str):
        raise not_understood(where, name, value)
    return value


def number(where: str, properties: Tree, name: str) -> int:
    """A whole number that is written out, not negative."""
    value = _needed(where, properties, name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise not_understood(where, name, value)
    return value


def arn_of(where: str, properties: Tree, name: str) -> str:
    """The resource whose ARN a property asks for."""
    match _needed(where, properties, name):
        case {"Fn::GetAtt": [str(resource), "Arn"]}:
            return resource
        case value:
            raise not_understood(where, name, value)


def _needed(where: str, properties: Tree, name: str) -> Any:
    if properties.get(name) is None:
        raise Misconfigured(f"{where}: {name} is missing")
    return properties[name]


def not_understood(where: str, name: str, value: Any) -> Misconfigured:
    return Misconfigured(f"{where}: {name} {value!r} is not understood")
