"""A process that uses a store: each line on standard input is the name of a study to create.

It prints the number of studies. The line `child` starts a process that sleeps instead.
"""

import subprocess
import sys
import time

from storage import Store, StoreError, create_study, list_studies
from storage.database.error_messages import is_store_error


def main() -> None:
    try:
        store = Store.open(sys.argv[1])
    except StoreError as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        sys.exit(1)
    print("open", flush=True)
    for line in sys.stdin:
        if line == "child\n":
            print(subprocess.Popen(["sleep", "60"], close_fds=False).pid, flush=True)
        else:
            print(answer(store, line.strip()), flush=True)


def answer(store: Store, name: str) -> int:
    """Create a study, and try again while the server is away."""
    for _ in range(100):
        try:
            create_study(store, name, settings="{}")
            return len(list_studies(store))
        except Exception as error:
            if not is_store_error(error):
                raise
            time.sleep(0.1)
    return -1


if __name__ == "__main__":
    main()
