"""What a stage says of itself before it runs: name, datasets, body, code; light enough for DAG parsing."""

from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal


@dataclass(frozen=True)
class Stage:
    """One declared stage.

    `body` is ``module:function``, imported only by the task that runs it. `inputs` and `outputs` are dataset names of
    the deployment's namespace, or ``https://host|path`` for a live source. A stage of scope ``lake`` works on a table
    partition that all jobs share; of scope ``job`` on its job alone. A stage with `outside` inputs (live sources)
    reuses a finished output only within one clear of its DAG run. `fans_out` names a list of the result and the stage
    that runs once per item, the item as its key. `code` names the files that decide its output.
    """

    name: str
    family: str
    body: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    scope: Literal["job", "lake"] = "job"
    outside: bool = False
    fans_out: tuple[str, str] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    code: tuple[str, ...] = ()
    doc: str = ""

    @property
    def places(self) -> tuple[str, ...]:
        """Return the source folders and files whose digest is the stage's code digest."""
        return self.code or (f"include/{self.family}",)

    def load(self) -> Any:
        """Import and return the body."""
        module, _, name = self.body.partition(":")
        return getattr(import_module(module), name)
