"""A configuration provider as it was written for version 1.0 of the plugin API. Never edited."""

from pydantic import Field

from al_framework.api import (
    ConfigurationProvider,
    Options,
    ProvidedConfiguration,
    Target,
    hookimpl,
)


class DeskOptions(Options):
    strategy: str = Field(description="Type of the one strategy to use.")


class Desk(ConfigurationProvider[DeskOptions]):
    type_name = "v1_desk"

    @property
    def identity(self) -> str:
        return f"desk-{self.options.strategy}"

    def fetch(self) -> ProvidedConfiguration:
        document = {
            "enabled": True,
            "persist_predictions": True,
            "sampling_strategies": [{"name": "from the desk", "type": self.options.strategy}],
            "batching_strategy": {"batches_name_prefix": "v1", "recreation_interval": "never"},
        }
        return ProvidedConfiguration(
            document=document,
            reason="",
            target=Target(workspace="v1", project="desk"),
            refresh_after_s=900.0,
        )


@hookimpl
def al_register_configuration_providers() -> list[type[Desk]]:
    return [Desk]
