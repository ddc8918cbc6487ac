import os
from pathlib import Path

# The resolved folder that the process was started in is its release, whatever `current` says later.
RELEASE = os.path.basename(os.path.realpath(os.getcwd()))

# Every target of an environment is given the same path, so that they share one book.
DATABASE = os.environ.get("DATABASE", "data/guestbook.sqlite3")

FOLDER = Path(__file__).resolve().parent
