"""How often the smoke build is killed, and the seed of the moments."""

import os

KILLS = int(os.environ.get("CANTICA_KILLS", 30))
SEED = int(os.environ.get("CANTICA_KILL_SEED", 20261121))
