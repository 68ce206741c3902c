"""R26: JSON-Schema-Test-Suite, every draft that is known here, as schemas of typed answers."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry

from or_magic.errors import OptionError
from or_magic.schema import Mismatch, Schema, Wire, read, schema_of, wire

from ..suites import Case, schema_cases
from .test_schema import same

DRAFTS = {
    "draft4": "http://json-schema.org/draft-04/schema#",
    "draft6": "http://json-schema.org/draft-06/schema#",
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
}
# How many schemas are refused before anything is sent, by the reason that the user reads.
REFUSED = {
    "draft4": {"leads nowhere inside it": 16, "regular expression": 2, "is not a 'regex'": 4},
    "draft6": {"leads nowhere inside it": 26, "is no schema": 2, "is not a 'regex'": 6},
    "draft7": {"leads nowhere inside it": 31, "is no schema": 2, "is not a 'regex'": 6},
    "draft2019-09": {"leads nowhere inside it": 45, "is no schema": 2, "is not a 'regex'": 6, "is not known here": 2},
    "draft2020-12": {"leads nowhere inside it": 59, "is no schema": 2, "is not a 'regex'": 6, "is not known here": 4},
}
# What else is not met, all of it optional in the standard. Invalid instances are taken where a format is words to the
# model and no more, or a pattern means something else to Python; valid ones are asked again at a leap second, and where
# the suite wants a format to say nothing.
TAKEN = {
    "content.json", "dependencies-compatibility.json", "ecmascript-regex.json", "format/ecmascript-regex.json",
    "format/email.json", "format/idn-email.json", "format/idn-hostname.json", "format/iri-reference.json", "format/iri.json",
    "format/json-pointer.json", "format/regex.json", "format/relative-json-pointer.json", "format/time.json",
    "format/uri-reference.json", "format/uri-template.json", "format/uri.json",
}  # fmt: skip
ASKED_AGAIN = {"ecmascript-regex.json", "format/date-time.json", "format/time.json"}
FORMAT_SAYS_NOTHING = "format.json"


@cache
def cases(draft: str) -> list[Case]:
    """The draft's cases, each schema with the name of its draft, as users' files have it."""
    return [
        case._replace(schema={"$schema": DRAFTS[draft], **case.schema}) if isinstance(case.schema, dict) else case
        for case in schema_cases(draft)
    ]


@cache
def usable(draft: str) -> list[tuple[Case, Schema, Wire]]:
    """Those that answers can be judged by, and what is sent for them."""
    found = []
    for case in cases(draft):
        with suppress(OptionError):
            schema = schema_of(case.schema)
            found.append((case, schema, wire(schema)))
    return found


def told(instance: Any, sent: Wire) -> Any:
    """What a model says that was asked for this."""
    return {"value": instance} if sent.wrapped else instance


@pytest.mark.parametrize("draft", DRAFTS)
def test_what_cannot_be_judged_by_is_refused_before_it_is_sent(draft: str) -> None:
    """References to elsewhere, patterns that Python does not know, rules that nobody told; never somebody else's error."""
    reasons = Counter[str]()
    for case in cases(draft):
        try:
            schema_of(case.schema)
        except OptionError as error:
            assert "Nothing was sent." in str(error)
            reasons.update([next((reason for reason in REFUSED[draft] if reason in str(error)), str(error))])
    assert REFUSED[draft] == reasons


@pytest.mark.parametrize("draft", DRAFTS)
def test_what_fits_comes_back_as_it_was_and_what_does_not_never(draft: str) -> None:
    """Judged by the rules of its own draft. All that the standard demands is met; what it leaves open is listed above."""
    judged, wrong = 0, []
    for case, schema, sent in usable(draft):
        for test in case.tests:
            judged += 1
            try:
                value, _ = read(json.dumps(told(test["data"], sent)), schema, wrapped=sent.wrapped)
            except Mismatch as error:
                assert error.errors
                taken = False
            else:
                taken = True
                assert not test["valid"] or same(test["data"], value), case
            if taken != test["valid"]:
                wrong.append((case.file, taken, test["description"]))
    assert judged >= 700
    assert [] == [each for each in wrong if not _known(*each)]


def _known(file: str, taken: bool, about: str) -> bool:
    if file == FORMAT_SAYS_NOTHING:
        return not taken and "only an annotation" in about
    return file.removeprefix("optional/") in (TAKEN if taken else ASKED_AGAIN) and file.startswith("optional/")


@pytest.mark.parametrize("draft", DRAFTS)
def test_what_is_sent_strictly_takes_every_answer_that_fits(draft: str) -> None:
    """The strict form closes objects: an answer that it cannot express is the only one that it may lose."""
    strict = [(case, sent) for case, _, sent in usable(draft) if sent.strict and "optional/" not in case.file]
    assert len(strict) >= 30
    for case, sent in strict:
        Draft202012Validator.check_schema(sent.body)
        judge = Draft202012Validator(sent.body, registry=Registry())
        for test in case.tests:
            if test["valid"] and not _in_objects(test["data"]):
                assert judge.is_valid(told(test["data"], sent)), (case, test)


def _in_objects(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_in_objects, value)))
