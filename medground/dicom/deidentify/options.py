"""Options: which of the usual PS3.15 options are taken on top of the basic profile."""

from __future__ import annotations

from typing import Literal

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from medground.schema.config import StrictConfig


class Options(StrictConfig):
    """What is kept; with the defaults nothing but the basic profile is done.

    Attributes:
        profile: of PS3.15 Annex E.
        shift_dates: move dates by a number of days of each patient's own instead of removing them; keep times of day.
        keep_patient_characteristics: keep sex, age (over 89 as 90), size, weight, ethnic group, smoking, pregnancy.
        keep_device: keep the identity of the device: serial numbers, station names, detector and device identifiers.
        keep_uids: keep the UIDs, so that the output can be joined with the archive it came from.
        allow_burned_in: take images that say, or that are likely, to show text burned into their pixels.
    """

    profile: Literal["basic"] = "basic"
    shift_dates: bool = False
    keep_patient_characteristics: bool = False
    keep_device: bool = False
    keep_uids: bool = False
    allow_burned_in: bool = False

    def method_codes(self, *, structured_content: bool) -> tuple[Code, ...]:
        """The codes of what was done.

        Args:
            structured_content: the content tree of the object (an SR) was cleaned rather than removed.

        Source: PS3.16 CID 7050.
        """
        method = codes.cid7050
        chosen = (
            (True, method.BasicApplicationConfidentialityProfile),
            (structured_content, method.CleanStructuredContentOption),
            (self.shift_dates, method.RetainLongitudinalTemporalInformationModifiedDatesOption),
            (self.keep_patient_characteristics, method.RetainPatientCharacteristicsOption),
            (self.keep_device, method.RetainDeviceIdentityOption),
            (self.keep_uids, method.RetainUidsOption),
        )
        return tuple(code for wanted, code in chosen if wanted)
