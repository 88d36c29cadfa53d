"""UIDs that follow from what they identify: the same input has the same UID."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable

from medground.schema.result import ModelInfo, Settings, StudyResult

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "medground")


def uid_of(*parts: str) -> str:
    """A UID under 2.25 (PS3.5 B.2) that is a function of the parts alone.

    Args:
        parts: whatever tells this object from every other.
    """
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(31).join(parts)).int}"


def result_identity(study: StudyResult, model: ModelInfo, settings: Settings, instance_uids: Iterable[str]) -> str:
    """What tells one result from every other, as one text: the images, the questions, the bundle and the settings.

    The answers are no part of it: coordinates differ in the last bits between processors.

    Args:
        study: asked about; of it the questions alone count, in any order.
        model: the model that answered.
        settings: what else the result depends on.
        instance_uids: SOP Instance UIDs of the images, in any order.
    """
    questions = sorted(answer.query for answer in study.answers)
    return json.dumps([sorted(instance_uids), questions, model.sha256, settings.model_dump(mode="json")])


def tracking_uid(identity: str, answer_id: str, finding_id: str) -> str:
    """The UID under which a finding is followed through report, presentation state and segmentation.

    Args:
        identity: see `result_identity`.
        answer_id: id of the answer that the finding belongs to.
        finding_id: id of the finding.
    """
    return uid_of("tracking", identity, answer_id, finding_id)
