"""Everything that one process of the service holds, and where a handler finds it."""

from dataclasses import dataclass, field
from typing import Any

from starlette.types import Scope

from .caption import Captioner
from .downloads import Downloads
from .metrics import Metrics
from .recognition import Recogniser
from .settings import Settings

KEY = "shelflist_vision.service"


@dataclass
class Service:
    """The parts of a running service; `is_draining` turns true when it is about to stop."""

    settings: Settings
    document: dict[str, Any]
    metrics: Metrics
    recogniser: Recogniser
    downloads: Downloads
    captioner: Captioner
    is_draining: bool = field(default=False)

    async def close(self) -> None:
        """End what runs in the background."""
        self.downloads.close()
        await self.captioner.close()
        self.recogniser.close()


def service_of(scope: Scope) -> Service:
    """Return the service that a request came to."""
    service: Service = scope["extensions"][KEY]
    return service
