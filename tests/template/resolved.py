"""A template as CloudFormation takes it with given parameters: conditions are worked out, what they
leave out is gone, and parameters are filled in. Everything else stays as it is written."""

from collections.abc import Mapping
from typing import Any

from node.cloudformation import Tree

_NOTHING = {"Ref": "AWS::NoValue"}


def resolved(template: Tree, **given: str) -> Tree:
    """Resources and Outputs with these parameters, and the defaults of all others. Raises KeyError
    on a parameter or a condition that the template doesn't have."""
    values = {name: str(it["Default"]) for name, it in template["Parameters"].items()}
    for name in given:
        values[name]  # one that is not there must not pass for one without effect
    values.update(given)
    holds = {name: _is_true(it, values) for name, it in template["Conditions"].items()}
    return {
        section: {
            name: _filled(part, values, holds)
            for name, part in template[section].items()
            if "Condition" not in part or holds[part["Condition"]]
        }
        for section in ("Resources", "Outputs")
    }


def _is_true(condition: Tree, values: Mapping[str, str]) -> bool:
    match condition:
        case {"Fn::Not": [inner]}:
            return not _is_true(inner, values)
        case {"Fn::Or": list(inner)}:
            return any(_is_true(it, values) for it in inner)
        case {"Fn::Equals": [{"Ref": str(name)}, str(wanted)]}:
            return values[name] == wanted
    raise KeyError(str(condition))


def _filled(part: Any, values: Mapping[str, str], holds: Mapping[str, bool]) -> Any:
    match part:
        case {"Fn::If": [str(condition), yes, no]}:
            return _filled(yes if holds[condition] else no, values, holds)
        case {"Ref": str(name)} if name in values:
            return values[name]
        case dict():
            filled = {name: _filled(value, values, holds) for name, value in part.items()}
            return {name: value for name, value in filled.items() if value != _NOTHING}
        case list():
            return [it for it in (_filled(it, values, holds) for it in part) if it != _NOTHING]
    return part
