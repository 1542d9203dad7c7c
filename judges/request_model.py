#!/usr/bin/env python3
"""What botocore's model says of CreateTransformJob, which botocore itself checks the least part of.

    request_model.py                 the members that are no structures, and the instance types, as JSON
    request_model.py VALUES.json     for each {"field": …, "value": …} whether the model allows it, as a JSON
                                     list: true, false, or null for a character that this Python does not know
    request_model.py --request FILE  what the model has against a whole request, one sentence a line

Fields are named as in the first answer: dots between members, `[]` for a list's items, `{}` for a map's
values and `{key}` for its keys.
"""

import json
import re
import sys
import unicodedata

import botocore.session

# What stands for a character of that category where a pattern asks for `\p{…}`.
LIKE = {"L": "a", "N": "0", "Z": " "}


def members(shape, path=""):
    """(path, shape) of everything in a shape that is no structure."""
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            yield from members(member, f"{path}.{name}" if path else name)
    elif shape.type_name == "list":
        yield from members(shape.member, f"{path}[]")
    elif shape.type_name == "map":
        yield from members(shape.key, f"{path}{{key}}")
        yield from members(shape.value, f"{path}{{}}")
    else:
        yield path, shape


def plain(text):
    """The text with ASCII in place of letters, digits and separators; None if Python is too old for it."""
    categories = [unicodedata.category(c) for c in text]
    if "Cn" in categories:
        return None
    return "".join(c if c.isascii() else LIKE.get(k[0], "\0") for c, k in zip(text, categories))


def fits_pattern(text, pattern):
    for name, like in (("L", "a-zA-Z"), ("N", "0-9"), ("Z", " ")):
        pattern = pattern.replace(rf"\p{{{name}}}", like)
    return re.fullmatch(pattern, text) is not None


def wrong(shape, value):
    """What a shape has against a value by itself; None: nothing, False: it cannot be said."""
    limits = shape.metadata
    if shape.type_name == "boolean":
        return None if isinstance(value, bool) else "no boolean"
    if shape.type_name == "integer":
        if not isinstance(value, int) or isinstance(value, bool):
            return "no integer"
        size = value
    elif not isinstance(value, str):
        return "no string"
    else:
        size = len(value)
        if "enum" in limits and value not in limits["enum"]:
            return f"not one of {limits['enum']}"
    if size < limits.get("min", size) or size > limits.get("max", size):
        return f"not within {limits.get('min')} and {limits.get('max')}"
    if "pattern" in limits:
        text = value if value.isascii() or r"\p" not in limits["pattern"] else plain(value)
        if text is None:
            return False
        if not fits_pattern(text, limits["pattern"]):
            return f"not {limits['pattern']}"
    return None


def complaints(shape, value, path):
    if shape.type_name == "structure":
        for name in shape.required_members:
            if name not in value:
                yield f"{path}: {name} is missing"
        for name, member in value.items():
            if name in shape.members:
                yield from complaints(shape.members[name], member, f"{path}.{name}")
            else:
                yield f"{path}: {name} is unknown"
    elif shape.type_name in ("list", "map"):
        if len(value) > shape.metadata.get("max", len(value)):
            yield f"{path}: {len(value)} entries"
        if shape.type_name == "list":
            for item in value:
                yield from complaints(shape.member, item, f"{path}[]")
        else:
            for key, item in value.items():
                yield from complaints(shape.key, key, f"{path}{{key}}")
                yield from complaints(shape.value, item, f"{path}{{}}")
    else:
        why = wrong(shape, value)
        if why:
            yield f"{path}: {value!r} is {why}"


def main(arguments):
    model = botocore.session.get_session().get_service_model("sagemaker")
    request = model.operation_model("CreateTransformJob").input_shape
    fields = dict(members(request))
    if not arguments:
        print(json.dumps({"fields": list(fields), "instance_types": fields["TransformResources.InstanceType"].enum,
                          "enums": {path: shape.enum for path, shape in fields.items() if getattr(shape, "enum", None)}}))
        return 0
    with open(arguments[-1], encoding="utf-8") as file:
        given = json.load(file)
    if arguments[0] == "--request":
        found = list(complaints(request, given, "request"))
        print("\n".join(found))
        return 1 if found else 0
    verdicts = [wrong(fields[case["field"]], case["value"]) for case in given]
    print(json.dumps([None if why is False else why is None for why in verdicts]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
