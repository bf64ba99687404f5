"""What always holds: the rows, the files, the books and the obligations are those of the model."""

import shutil

from hypothesis.stateful import invariant
from model import MAX_DELAY_S, RULES, windows_of
from stage import SINKS, Stage

from al_framework.api import Receipt
from al_framework.pipeline.spool import Lease
from al_framework.pipeline.spool.groupfile import read_item
from al_framework.pipeline.spool.records import Place

LEASE_S = 60.0
STATES = ("pending", "delivered", "dead", "evicted")


class Checks(Stage):
    """Looks after each step, and once more when all that is left has been delivered."""

    @invariant()
    def rows_are_as_the_model_says(self) -> None:
        process = self._any()
        if process is None:
            return
        with process.spool._database.read() as tx:
            rows = tx.execute(
                """SELECT item_id, sink, state, owner, attempts, checkpoint, stored
                FROM item JOIN delivery USING (number)"""
            ).fetchall()
            items = tx.execute(
                "SELECT item_id, file, offset, image_bytes, meta_bytes FROM item"
            ).fetchall()
            total, total_bytes = tx.execute("SELECT items, bytes FROM total").fetchone()
            pending = sum(
                n
                for (n,) in tx.execute(
                    "SELECT accepted + recovered - delivered - dead - evicted FROM tally"
                )
            )
            windows = tx.execute(
                "SELECT strategy, period, start, used FROM limit_window"
            ).fetchall()
        found = {(r[0], r[1]): (STATES[r[2]], r[3], r[4], bool(r[6])) for r in rows}
        expected = {
            (item_id, sink): (way.state, way.owner, way.attempts, way.stored)
            for item_id, item in self.model.items.items()
            for sink, way in item.ways.items()
        }
        assert found == expected
        assert total == len(items) == len(self.model.items)
        assert pending == sum(state == "pending" for state, *_ in found.values())
        groups = self.directory / "spool" / "obj"
        for item_id, file, offset, image_bytes, meta_bytes in items:
            place = Place(offset=offset, image_bytes=image_bytes, meta_bytes=meta_bytes)
            image, _ = read_item(groups / file, place)
            assert image == self.known[item_id].image
        assert total_bytes == sum(
            (groups / file).stat().st_size for file in {row[1] for row in items}
        )
        self._check_windows(windows)

    def teardown(self) -> None:
        try:
            self._drain()
        finally:
            for slot, process in list(self.processes.items()):
                if process is not None:
                    self._kill(slot, process)
            for each in self.patches:
                each.stop()
            shutil.rmtree(self.directory)

    def _drain(self) -> None:
        """Deliver all that is left: whatever was accepted is delivered, dead, or still there."""
        for slot, process in list(self.processes.items()):
            if process is not None:
                self._kill(slot, process)
        self.open("p", SINKS)
        process = self._process("p")
        assert process is not None
        for _ in range(2):  # the first one finds dates that a clock has left in the future
            process.spool.deliveries.reclaim(SINKS)
            self._model_reclaim(process, own=False)
            self.clock.advance(MAX_DELAY_S + LEASE_S)
        self.rows_are_as_the_model_says()
        for sink in SINKS:
            while (lease := process.spool.deliveries.take(sink)) is not None:
                self.model.items[lease.item_id].ways[sink].owner = lease.owner
                process.spool.deliveries.deliver(lease, Receipt(status="created"))
                self._model_work(lease, "created")
        self.rows_are_as_the_model_says()
        owed = {key for key in self._obligations() if key not in self.model.delivered}
        assert not owed, f"accepted and lost: {sorted(owed)}"
        assert process.spool.verify().is_sound
        process.spool.gc()
        assert len(process.spool.verify().stray_files) == 0

    def _obligations(self) -> set[tuple[str, str]]:
        dead = {
            (item_id, sink)
            for item_id, item in self.model.items.items()
            for sink, way in item.ways.items()
            if way.state == "dead"
        }
        return (
            {
                (item_id, sink)
                for item_id in self.model.accepted
                for sink in self.known[item_id].ways
            }
            - dead
            - self.model.buried
        )

    def _check_windows(self, windows: list[tuple[str, str, int, int]]) -> None:
        counted: dict[tuple[str, str, int], int] = {}
        for strategy, at in self.model.credits.values():
            for period, start in windows_of(at).items():
                key = (strategy, period, start)
                counted[key] = counted.get(key, 0) + 1
        oldest = self.clock.time() - 2 * 86400
        found = {(s, p, start): used for s, p, start, used in windows if used and start >= oldest}
        counted = {key: n for key, n in counted.items() if key[2] >= oldest}
        assert found == counted
        for (strategy, period, _), used in found.items():
            assert used <= RULES[strategy].get(period, used)

    def _model_work(self, lease: Lease, how: str) -> None:
        way = self.model.items[lease.item_id].ways[lease.sink]
        if how == "save":
            way.checkpoint = {"image_id": "1"}
            way.lease_until = self.clock.monotonic() + LEASE_S
        elif how in {"back", "later"}:
            way.owner, way.crashes = None, 0
            way.due = self.clock.time() + (20.0 if how == "later" else 0.0)
            way.attempts += how == "later"
        else:
            way.stored = how == "created" or (how == "duplicate" and lease.tries > 1)
            if how == "dead":
                way.refusals, way.attempts = way.refusals + 1, way.attempts + 1
                way.stored = bool(way.checkpoint) or way.tries > way.refusals
            self.model.end(lease.item_id, lease.sink, "dead" if how == "dead" else "delivered")
