"""A look at every byte of the spool: is what was accepted still what lies on the disk?"""

from collections.abc import Iterator

from al_framework.pipeline.spool.database import Database
from al_framework.pipeline.spool.directory import GroupFiles
from al_framework.pipeline.spool.groupfile import read_item
from al_framework.pipeline.spool.items import decode_meta
from al_framework.pipeline.spool.records import CorruptItemError, Damage, Place, VerifyReport
from al_framework.pipeline.spool.rescuing import Rescue
from al_framework.pipeline.spool.soundness import MISREADINGS
from al_framework.pipeline.spool.sweeping import Sweeper

_CHUNK = 256


def verify(database: Database, files: GroupFiles, sweeper: Sweeper, rescue: Rescue) -> VerifyReport:
    """Read everything; others may go on working meanwhile."""
    items = size = 0
    damaged: list[Damage] = []
    for item_id, file, place, nbytes in _items(database):
        try:
            _, meta = read_item(files.path(file), place)
            decode_meta(meta)
        except (CorruptItemError, *MISREADINGS) as exc:  # the index may say anything
            if _is_known(database, item_id):  # it was not delivered while we looked
                damaged.append(Damage(item_id=item_id, file=file, reason=str(exc)))
        items, size = items + 1, size + nbytes
    kept_files, kept_items = rescue.kept()
    return VerifyReport(
        items=items,
        bytes=size,
        damaged=tuple(damaged),
        stray_files=sweeper.strays(),
        index_faults=database.faults(),
        kept_files=kept_files,
        kept_items=kept_items,
    )


def _items(database: Database) -> Iterator[tuple[str, str, Place, int]]:
    last = -1
    while True:
        with database.read() as tx:
            rows = tx.execute(
                """SELECT number, item_id, file, offset, image_bytes, meta_bytes,
                    image_bytes + meta_bytes FROM item WHERE number > ? ORDER BY number LIMIT ?""",
                (last, _CHUNK),
            ).fetchall()
        if not rows:
            return
        for _, item_id, file, offset, image_bytes, meta_bytes, nbytes in rows:
            place = Place(offset=offset, image_bytes=image_bytes, meta_bytes=meta_bytes)
            yield item_id, file, place, nbytes
        last = rows[-1][0]


def _is_known(database: Database, item_id: str) -> bool:
    with database.read() as tx:
        row = tx.execute("SELECT 1 FROM item WHERE item_id = ?", (item_id,)).fetchone()
    return row is not None
