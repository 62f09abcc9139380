"""A template as CloudFormation takes it with given parameters: conditions are worked out, what they
leave out is gone, and parameters are filled in. Everything else stays as it is written."""

from collections.abc import Mapping
from typing import Any

from node.cloudformation import Tree, holds, parameter_values

_NOTHING = {"Ref": "AWS::NoValue"}


def resolved(template: Tree, **given: str) -> Tree:
    """Resources and Outputs with these parameters, and the defaults of all others. Raises
    Misconfigured on a parameter or a condition that the template doesn't have."""
    values = parameter_values(template, given)
    true = {name: holds(template, name, given) for name in template["Conditions"]}
    return {
        section: {
            name: _filled(part, values, true)
            for name, part in template[section].items()
            if "Condition" not in part or true[part["Condition"]]
        }
        for section in ("Resources", "Outputs")
    }


def _filled(part: Any, values: Mapping[str, str], true: Mapping[str, bool]) -> Any:
    match part:
        case {"Fn::If": [str(condition), yes, no]}:
            return _filled(yes if true[condition] else no, values, true)
        case {"Ref": str(name)} if name in values:
            return values[name]
        case dict():
            filled = {name: _filled(value, values, true) for name, value in part.items()}
            return {name: value for name, value in filled.items() if value != _NOTHING}
        case list():
            return [it for it in (_filled(it, values, true) for it in part) if it != _NOTHING]
    return part
