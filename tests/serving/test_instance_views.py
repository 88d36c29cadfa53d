"""What a listing needs is kept with each image, on both databases, and comes by itself where it is not."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete
from sqlalchemy.exc import DBAPIError

from medground.dicom.image import open_image
from medground.schema.errors import InputError
from medground.serving.database import create_tables, instances, metadata, writing
from medground.serving.instance_views import InstanceViews, add_view, instance_views
from medground.serving.intake import HEADER_LIMITS, ConflictError
from medground.serving.viewing import InstanceView, view_of
from medground.serving.worklist import ListedInstance
from tests.dicom.conftest import dicom_file
from tests.serving.parts import Parts
from tests.serving.running import rows

_IDS = {"StudyInstanceUID": "1.2.9", "SeriesInstanceUID": "1.2.9.1", "SOPInstanceUID": "1.2.9.1.1", "Modality": "MR"}


def views_of(parts: Parts) -> InstanceViews:
    return InstanceViews(parts.engine, parts.store, HEADER_LIMITS)


def listed(parts: Parts, key: str) -> list[ListedInstance]:
    return parts.worklist.instances("clinic", key)


def forget_views(parts: Parts) -> None:
    """As if the images had come before there was this table."""
    with writing(parts.engine) as connection:
        connection.execute(delete(instance_views))


def move_files_away(parts: Parts, of: Iterable[ListedInstance]) -> None:
    for one in of:
        parts.store.path(one.sha256).unlink()


def test_an_image_brings_its_view(parts: Parts) -> None:
    path = parts.film(1, SeriesDescription="ap", SeriesNumber=4)
    accepted = parts.accept(path)
    (row,) = rows(parts.engine, instance_views)
    assert row.instance_id == accepted.instance_id
    kept = InstanceView.model_validate_json(row.content)
    assert kept == view_of(open_image(path))
    assert (kept.series_description, kept.series_number) == ("ap", 4)
    parts.accept(path)
    with pytest.raises(ConflictError):
        parts.accept(parts.film(1, SeriesDescription="changed"))
    assert rows(parts.engine, instance_views) == [row]


def test_a_listing_opens_no_file(parts: Parts) -> None:
    key = parts.accept(parts.film(1)).study_key
    parts.accept(parts.film(1, instance=2))
    images = listed(parts, key)
    move_files_away(parts, images)
    views = views_of(parts).of(images)
    assert {number: one.header.sop_instance_uid for number, one in views.items()} == {
        one.instance_id: one.sop_uid for one in images
    }
    assert views_of(parts).of([]) == {}


def test_an_older_database_gets_its_views_at_the_first_listing(parts: Parts) -> None:
    key = parts.accept(parts.film(1)).study_key
    before = views_of(parts).of(listed(parts, key))
    parts.accept(parts.film(1, instance=2))
    forget_views(parts)
    images = listed(parts, key)
    read = views_of(parts).of(images)
    assert len(read) == 2
    assert before.items() <= read.items()
    move_files_away(parts, images)
    assert views_of(parts).of(images) == read


def test_the_table_is_made_where_it_is_missing(parts: Parts) -> None:
    key = parts.accept(parts.film(1)).study_key
    instance_views.drop(parts.engine)
    create_tables(parts.engine)
    assert len(views_of(parts).of(listed(parts, key))) == 1
    assert instance_views in metadata.sorted_tables


def test_two_first_listings_at_once(parts: Parts) -> None:
    key = parts.accept(parts.film(1)).study_key
    forget_views(parts)
    images = listed(parts, key)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: views_of(parts).of(images), range(8)))
    assert all(one == found[0] for one in found)
    assert len(rows(parts.engine, instance_views)) == 1


def test_what_another_version_wrote_is_read_anew(parts: Parts) -> None:
    key = parts.accept(parts.film(1)).study_key
    good = views_of(parts).of(listed(parts, key))
    with writing(parts.engine) as connection:
        connection.execute(instance_views.update().values(content='{"other": 1}'))
    assert views_of(parts).of(listed(parts, key)) == good
    assert "other" not in rows(parts.engine, instance_views)[0].content


def test_what_an_earlier_version_kept_of_several_frames_is_read_anew(parts: Parts, tmp_path: Path) -> None:
    places = {"GridFrameOffsetVector": [0, 2.5], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    path = tmp_path / "frames"
    path.write_bytes(
        dicom_file(np.ones((2, 64, 64), np.uint16), frames=2, ImagePositionPatient=[0, 0, 4], **_IDS, **places)
    )
    key = parts.accept(path).study_key
    good = views_of(parts).of(listed(parts, key))
    assert [one.frame_positions_mm for one in good.values()] == [(4, 6.5)]
    with writing(parts.engine) as connection:
        for number, view in good.items():
            add_view(connection, number, view.model_copy(update={"frame_positions_mm": None}))
    assert views_of(parts).of(listed(parts, key)) == good


def test_the_view_of_a_deleted_image_is_not_that_of_the_next(parts: Parts) -> None:
    """SQLite gives a number again, and a version without this table leaves the view behind."""
    gone = parts.accept(parts.film(1, SeriesDescription="gone"))
    left = views_of(parts).of(listed(parts, gone.study_key))[gone.instance_id]
    here = parts.accept(parts.film(2, SeriesDescription="here"))
    with writing(parts.engine) as connection:
        add_view(connection, here.instance_id, left)
    shown = views_of(parts).of(listed(parts, here.study_key))
    assert shown[here.instance_id].series_description == "here"


def test_of_an_image_that_is_deleted_meanwhile_nothing_is_kept(parts: Parts) -> None:
    key = parts.accept(parts.film(1)).study_key
    images = listed(parts, key)
    with writing(parts.engine) as connection:
        connection.execute(delete(instances))
    forget_views(parts)
    assert len(views_of(parts).of(images)) == 1
    assert rows(parts.engine, instance_views) == []


def test_a_file_that_is_gone_is_told(parts: Parts) -> None:
    key = parts.accept(parts.film(1)).study_key
    forget_views(parts)
    images = listed(parts, key)
    move_files_away(parts, images)
    with pytest.raises(InputError):
        views_of(parts).of(images)


def test_more_images_than_a_statement_takes_values(parts: Parts) -> None:
    """SQLite takes 32766 of them."""
    (one,) = listed(parts, parts.accept(parts.film(1)).study_key)
    view = views_of(parts).of([one])
    many = [one, *(replace(one, instance_id=one.instance_id + number) for number in range(1, 33_000))]
    move_files_away(parts, [one])
    with pytest.raises(InputError):  # the others have no view, and their file is gone
        views_of(parts).of(many)
    assert views_of(parts).of(many[:1]) == view


def test_a_view_that_cannot_be_kept_keeps_its_image_out(parts: Parts) -> None:
    """Both are written together."""
    instance_views.drop(parts.engine)
    path = parts.film(1)
    with pytest.raises(DBAPIError, match="instance_views"):
        parts.accept(path)
    assert rows(parts.engine, instances) == []
    create_tables(parts.engine)
    parts.accept(path)
    assert len(rows(parts.engine, instance_views)) == 1
