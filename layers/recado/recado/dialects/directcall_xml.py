"""Directcall's XML. The root's name is known from clients, which read //directcall/msg; how lists
stand in it is not documented: here each of their elements is an `item`."""

import re
from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

_not_xml = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]").sub
_is_name = re.compile("[A-Za-z_][A-Za-z0-9_.-]*").fullmatch


def document(root: str, body: Mapping[str, Any]) -> str:
    """The fields as elements of a root, in their order. What XML 1.0 can't hold (section 2.2) is
    left out of texts; a name that can't be an element's is its attribute `nome`."""
    element = Element(root)
    _fill(element, body)
    return '<?xml version="1.0" encoding="UTF-8"?>' + tostring(element, encoding="unicode")


def _fill(element: Element, value: Any) -> None:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _fill(_child(element, str(name)), inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _fill(SubElement(element, "item"), inner)
    elif isinstance(value, bool):
        element.text = "true" if value else "false"
    elif value is not None:
        element.text = _not_xml("", str(value))


def _child(element: Element, name: str) -> Element:
    if _is_name(name):
        return SubElement(element, name)
    return SubElement(element, "campo", nome=_not_xml("", name))
