"""Facts of scenes made by hand, real ones and phantoms, as every form renders them."""

from __future__ import annotations

from pathlib import Path

import pytest
import signxml
import xmlschema

from medground.cards.contents import CardFacts, LeakCheck
from medground.cards.facts import facts_of
from medground.cards.measured import Resampling
from tests.cards.made_evidence import four_films, made_evidence, ten_nodules

SCHEMA = Path(__file__).parents[4] / "shared" / "schemas" / "chai" / "schema.xsd"
XMLDSIG = Path(signxml.__file__).parent / "schemas" / "xmldsig-core-schema.xsd"


@pytest.fixture(scope="session")
def schema() -> xmlschema.XMLSchema:
    if not SCHEMA.is_file():
        pytest.skip(f"the schema of CHAI is not at {SCHEMA}; it is not part of the repository")
    locations = {"http://www.w3.org/2000/09/xmldsig#": str(XMLDSIG)}
    return xmlschema.XMLSchema(str(SCHEMA), locations=locations, allow="local")


@pytest.fixture(scope="session")
def facts() -> CardFacts:
    phantoms = ten_nodules(3)
    phantoms = phantoms.model_copy(
        update={
            "data": "ten <phantoms> & more",
            "images": tuple(
                i.model_copy(update=dict.fromkeys(("image_id", "patient_id"), f"phantom-{n}"))
                for n, i in enumerate(phantoms.images)
            ),
        }
    )
    made = facts_of(made_evidence({"films": four_films(), "phantoms": phantoms}), Resampling(resamples=50))
    assert [one.synthetic for one in made.evaluations] == [False, True]
    checked = made.training_data[1].model_copy(
        update={"leak_check": LeakCheck(images=360, leaks=0, words="By patient, file and picture.")}
    )
    packages = {"torch": "2.6.0+cpu", "typing_extensions": "4.1"}
    versions = made.versions.model_copy(
        update={
            "packages": {**packages, "medground": "0.1.0"},
            "licences": {"torch": "BSD-3-Clause", "typing_extensions": "Some Licence"},
            "requires": {"medground": ("torch", "absent"), "torch": ("typing_extensions",)},
        }
    )
    data = (made.training_data[0], checked, *made.training_data[2:])
    return made.model_copy(update={"training_data": data, "versions": versions})


@pytest.fixture(scope="session")
def bare() -> CardFacts:
    """Of a model that was never measured."""
    return facts_of(made_evidence({}))
