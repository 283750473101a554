"""For development: what `scripts/run` starts and watches, and the inbox. Nothing of ours in it."""
