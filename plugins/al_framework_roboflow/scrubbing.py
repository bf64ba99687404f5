"""Keep API keys out of everything that is written down.

Roboflow takes the key in the query of every address, so it is part of what urllib3 logs and of the
text of every exception of requests.
"""

from pydantic import SecretStr

from al_framework.api.http import Scrubber, hide_parameters_in_logs

KEY_PARAMETER = "api_key"


def scrub(text: str, api_key: SecretStr) -> str:
    """Return the text without the key, in whichever form it is contained."""
    return Scrubber((api_key,), parameters=(KEY_PARAMETER,))(text)


def hide_keys_in_logs() -> None:
    """Make the loggers of urllib3 hide keys; doing it again changes nothing."""
    hide_parameters_in_logs((KEY_PARAMETER,))
