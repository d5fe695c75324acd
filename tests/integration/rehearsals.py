"""Run `airflow tasks test` for many tasks in one process: python rehearsals.py DAG TASK [DAG TASK ...].

Prints one JSON line per task: its coordinates, the error that the command ended with, or null. What the task wrote
goes to standard error.
"""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout

from airflow.cli.cli_parser import get_parser


def main(words: list[str]) -> None:
    """Give each pair to Airflow's own command."""
    for dag_id, task_id in zip(words[::2], words[1::2], strict=True):
        sys.argv = ["airflow", "tasks", "test", dag_id, task_id]
        arguments = get_parser().parse_args(sys.argv[1:])
        error = None
        with redirect_stdout(sys.stderr):
            try:
                arguments.func(arguments)
            except Exception as raised:  # whatever the command dies of is what is reported
                error = f"{type(raised).__name__}: {raised}"
        print(json.dumps({"task": [dag_id, task_id], "error": error}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
