"""Instance views in the database: what a listing needs of each image, so that it opens no file.

A view is written with the row of its image. Of images that came before there was this table it is written at the first
listing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError
from sqlalchemy import Column, Connection, Engine, Table, Text, select

from medground.dicom.image import open_image
from medground.dicom.limits import Limits
from medground.serving.database import batches, insert_new, instances, metadata, row_id, writing
from medground.serving.objects import ObjectStore
from medground.serving.viewing import InstanceView, view_of
from medground.serving.worklist import ListedInstance

instance_views = Table(
    "instance_views",
    metadata,
    Column("instance_id", row_id, primary_key=True, autoincrement=False),
    Column("content", Text, nullable=False),
)


def add_view(connection: Connection, instance_id: int, view: InstanceView) -> None:
    """Keep a view in the caller's transaction, in place of one that is there."""
    row = {"instance_id": instance_id, "content": view.model_dump_json()}
    if not insert_new(connection, instance_views, row):
        here = instance_views.c.instance_id == instance_id
        connection.execute(instance_views.update().where(here).values(content=row["content"]))


@dataclass(frozen=True, slots=True)
class InstanceViews:
    """The views of images.

    Attributes:
        engine: the database.
        store: where their files lie.
        limits: on a file whose header has to be read.
    """

    engine: Engine
    store: ObjectStore
    limits: Limits

    def of(self, listed: Sequence[ListedInstance]) -> dict[int, InstanceView]:
        """Views by the ids of their images; what has none is read now, and kept.

        Args:
            listed: images of one study.

        Raises:
            InputError: a file that was accepted cannot be read any more.
        """
        found = self._kept(listed)
        missing = [one for one in listed if one.instance_id not in found]
        read = {
            one.instance_id: view_of(open_image(self.store.path(one.sha256), limits=self.limits)) for one in missing
        }
        self._keep(read)
        return found | read

    def _kept(self, listed: Sequence[ListedInstance]) -> dict[int, InstanceView]:
        uids = {one.instance_id: one.sop_uid for one in listed}
        with self.engine.connect() as connection:
            some = [
                connection.execute(select(instance_views).where(instance_views.c.instance_id.in_(ids))).all()
                for ids in batches(list(uids))
            ]
        views = {row.instance_id: _parsed(row.content) for found in some for row in found}
        # A database gives the number of a deleted image to a new one, and a version without this table left the view.
        return {key: view for key, view in views.items() if view and view.header.sop_instance_uid == uids[key]}

    def _keep(self, views: dict[int, InstanceView]) -> None:
        if not views:
            return
        with writing(self.engine) as connection:
            for ids in batches(list(views)):
                # Held until the end: whoever deletes the images waits, and deletes what is added here with them.
                here = select(instances.c.id).where(instances.c.id.in_(ids))
                for key in connection.scalars(here.with_for_update(read=True, key_share=True)).all():
                    add_view(connection, key, views[key])


def _parsed(content: str) -> InstanceView | None:
    """A view; None where another version wrote what this one does not read, or less than it tells."""
    try:
        view = InstanceView.model_validate_json(content)
    except ValidationError:
        return None
    return view if view.is_whole else None
