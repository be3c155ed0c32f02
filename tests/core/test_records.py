"""The types of records have the keys of the schemas that the records are validated against."""

import json

import pytest

from cantica.core import records
from tests.support.projects import ROOT


@pytest.mark.parametrize(
    ("schema", "place", "type_"),
    [
        ("question", "", records.Question),
        ("response", "", records.Response),
        ("judgement", "", records.Judgement),
        ("judgement", "properties.criteria.additionalProperties", records.RuleCriterion),
        ("judgement", "properties.criteria.additionalProperties.properties.reasons.items", records.Reason),
        ("verdict", "$defs.alone", records.ModelVerdict),
        ("verdict", "$defs.alone.properties.criteria.additionalProperties", records.ModelCriterion),
        ("verdict", "$defs.pair", records.PairwiseVerdict),
        ("verdict", "$defs.pair.properties.orders.items", records.Order),
        ("verdict", "$defs.pair.properties.orders.items.properties.criteria.additionalProperties", records.ComparedCriterion),
        ("probe", "$defs.pair", records.PairProbe),
        ("probe", "$defs.behaviour", records.BehaviourProbe),
        ("capability", "", records.CapabilityScore),
    ],
)
def test_a_record_type_has_the_keys_of_its_schema(schema, place, type_):
    part = json.loads((ROOT / "schemas" / f"{schema}.schema.json").read_text())
    for key in filter(None, place.split(".")):
        part = part[key]
    assert set(part["properties"]) == set(part["required"]) == type_.__required_keys__ == set(type_.__annotations__)
