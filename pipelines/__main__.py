"""`python -m pipelines VERB TASK [options]`."""

import sys

from pipelines.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
