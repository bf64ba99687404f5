"""What is said of options that cannot be right."""

import pytest
from pydantic import ValidationError

from al_framework_roboflow.connection import ConnectionOptions


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"api_key": ""}, "is empty: look at the variable or file that it refers to"),
        ({"api_key": "$ROBOFLOW_API_KEY"}, "begins with $: write a reference with braces"),
        ({"project": "my-project/3"}, "is 'my-project/3': write the short name alone"),
        ({"project": ""}, "is '': write the short name alone"),
        ({"workspace": "a b"}, "is 'a b': write the short name alone"),
    ],
)
def test_a_common_slip_is_told_with_what_to_do(changes, message):
    with pytest.raises(ValidationError) as caught:
        ConnectionOptions(**{"api_key": "k", "project": "p", **changes})

    assert message in str(caught.value)
