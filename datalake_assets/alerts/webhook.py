"""Post a message to a Slack-compatible incoming webhook."""

from collections.abc import Mapping
from typing import Any

from datalake_assets.alerts.outbox import ChannelBusy
from datalake_assets.errors import ConfigurationError, PermanentError, Unavailable

TIMEOUT_SECONDS = 8.0
_GONE = {401, 403, 404, 410}


class Webhook:
    """One webhook over one connection; its address is a secret and appears in no message.

    Use it as a context manager, or close it.
    """

    def __init__(self, url: str) -> None:
        import httpx

        self._url = url
        self._client = httpx.Client(timeout=TIMEOUT_SECONDS)

    def __enter__(self) -> "Webhook":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def send(self, payload: Mapping[str, Any]) -> None:
        """Post one message.

        Raises:
            Unavailable: the channel does not answer, or answers with a server error.
            ChannelBusy: the channel asks for fewer messages; `retry_after_seconds` says how long to wait.
            ConfigurationError: the webhook was revoked or never existed.
            PermanentError: the channel refuses this message.
        """
        import httpx

        try:
            answer = self._client.post(self._url, json=dict(payload))
        except httpx.InvalidURL as error:
            raise ConfigurationError("the webhook's address is not a URL", where="alerts secret") from error
        except httpx.HTTPError as error:
            # The error's own text may quote the address.
            raise Unavailable(f"the webhook does not answer: {type(error).__name__}", where="alerts webhook") from None
        if answer.is_success:
            return
        said = f"the webhook answered {answer.status_code}: {answer.text[:200]}"
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            busy = ChannelBusy(said, where="alerts webhook")
            busy.retry_after_seconds = _seconds(answer.headers.get("Retry-After"))
            raise busy
        if answer.status_code in _GONE:
            raise ConfigurationError(said, where="alerts webhook", todo="Renew webhook_url in the alerts secret")
        if answer.is_server_error:
            raise Unavailable(said, where="alerts webhook")
        raise PermanentError(said, where="alerts webhook")


def _seconds(text: str | None) -> float:
    return float(text) if text and text.isdecimal() else 0.0
