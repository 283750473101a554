"""The admin as a whole: its tasks, its first page, its door. What it shows of each app is there."""
