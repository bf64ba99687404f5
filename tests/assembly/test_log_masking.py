import logging

import pytest

from al_framework.assembly.log_masking import LogMask
from al_framework.assembly.masking import Mask

KEY = "cAn4ry-5ecret-value"


@pytest.fixture
def logs(caplog):
    caplog.set_level(logging.DEBUG)
    mask = LogMask(Mask([KEY]))
    yield mask
    mask.close()


@pytest.mark.parametrize("name", ["al_framework", "urllib3.connectionpool", "requests", "redis"])
def test_libraries_that_log_addresses_are_covered(logs, caplog, name):
    logging.getLogger(name).debug('"GET /x?key=%s HTTP/1.1" %d', KEY, 200)

    assert caplog.messages == ['"GET /x?key=*** HTTP/1.1" 200']


def test_loggers_below_a_covered_one_are_covered_if_they_exist(logs, caplog):
    logging.getLogger("acme_sink.client")
    logs.cover("acme_sink")
    logging.getLogger("acme_sink.client").warning(KEY)
    logging.getLogger("acme_sinks").warning("not %s", "ours")

    assert caplog.messages == ["***", "not ours"]


def test_tracebacks_and_stacks_are_masked_and_the_error_is_left_out(logs, caplog):
    try:
        raise ValueError(KEY)
    except ValueError:
        logging.getLogger("al_framework").exception("failed")
    logging.getLogger("al_framework").warning("here", stack_info=True)

    assert "ValueError: ***" in caplog.text
    assert "Stack (most recent call last)" in caplog.text
    assert KEY not in caplog.text
    assert [record.exc_info for record in caplog.records] == [None, None]


def test_a_traceback_that_another_handler_has_made_already_is_masked(logs, caplog):
    record = logging.LogRecord("al_framework", logging.INFO, "f", 1, "x", (), None)
    record.exc_text = f"ValueError: {KEY}"
    logging.getLogger("al_framework").handle(record)

    assert record.exc_text == "ValueError: ***"


def test_arguments_that_do_not_fit_are_shown_masked(logs, caplog):
    logging.getLogger("al_framework").warning("%d", KEY)

    assert caplog.messages == ["('%d', ('***',))"]


def test_a_closed_mask_leaves_the_loggers_as_they_were(caplog):
    logger = logging.getLogger("al_framework")
    before = list(logger.filters)
    mask = LogMask(Mask([KEY]))
    during = list(logger.filters)
    mask.close()
    mask.close()

    assert len(before) + 1 == len(during)
    assert before == logger.filters


def test_without_secrets_no_logger_is_touched():
    logger = logging.getLogger("al_framework")
    before = list(logger.filters)
    LogMask(Mask([])).cover("al_framework.x")

    assert before == logger.filters
