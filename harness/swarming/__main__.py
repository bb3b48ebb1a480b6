"""The process that judges part of a long history; see :mod:`harness.swarming.elsewhere`."""

import sys
from pathlib import Path

from harness.swarming.elsewhere import do

if __name__ == "__main__":
    do(*map(Path, sys.argv[1:]))
