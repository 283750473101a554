"""How moments are told where nothing else is said, by language: the admin says nothing else."""
